// Sound from a microphone, a tab or a file, as blocks of 16 kHz from the capture worklet.

/** Why there is no sound; `code` names a sentence of the dictionaries. */
export class CaptureError extends Error {
  /** @param {"insecure" | "in-app" | "mic-refused" | "mic-missing" | "mic-busy" | "mic-lost" | "tab-refused" | "tab-silent" | "file-unreadable"
   *   | "capture-failed"} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

const IN_APP = /FBAN|FBAV|Instagram|Line\/|MicroMessenger|TikTok|musical_ly|Snapchat|LinkedInApp|GSA\/|; wv\)/;
const inApp = () => IN_APP.test(navigator.userAgent);
const HEARD = 0.25; // how loud a file is here while it is sent
const BLOCK_MS = 40;
const FIRST_BLOCK_MS = 5000; // that another source may take once it was granted
const DEVICE_MS = 10; // where the browser does not say

/** What keeps this page from hearing anything, before anything is asked of the person. */
export function obstacle() {
  if (!isSecureContext) return new CaptureError("insecure");
  if (!navigator.mediaDevices?.getUserMedia) return new CaptureError(inApp() ? "in-app" : "mic-missing");
  return null;
}

/**
 * @typedef {{samples: Int16Array, peak: number, rms: number}} Block 40 ms at 16 kHz
 * @typedef {{block: (block: Block) => void, gap: (ms: number) => void, ended: () => void, interrupted: (now: boolean) => void}} Handlers
 * `gap`: time passed without sound, as during a call; `ended`: the device, the tab or the file ended by itself;
 * `interrupted`: the device has taken the microphone away for a while, or given it back
 * @typedef {{kind: "microphone", device: string} | {kind: "tab"} | {kind: "file", file: File}} SourceChoice
 * @typedef {{context: AudioContext, stream: MediaStream | null, node: AudioWorkletNode | null,
 *   player: HTMLAudioElement | null, settings: MediaTrackSettings, gone: boolean, first: () => void}} Ear
 * one source on its way through the worklet; `player` is a file's, its playing is the clock; `first`: a block is here
 */

export class Capture {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this._handlers = handlers;
    /** @type {Ear | null} the one that is heard */
    this.ear = null;
    this._changing = false;
    this._interrupted = false;
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this.ear?.context.resume();
    });
  }

  /** What the browser really does with the sound. */
  get settings() {
    return this.ear?.settings ?? {};
  }

  /** From a sound to its block here, ms. */
  get delayMs() {
    const { latency } = /** @type {{latency?: number}} */ (this.settings);
    return (latency ? latency * 1000 : DEVICE_MS) + BLOCK_MS;
  }

  /** From a tap. Raises `CaptureError`. @param {SourceChoice} choice */
  async start(choice) {
    await this._open(choice, (ear) => (this.ear = ear));
  }

  /**
   * Another source from now on. The old one is heard until the new one's first block is here, so that nothing that is
   * said between them is lost, and goes on where the new one cannot be had. Raises `CaptureError`.
   * @param {SourceChoice} choice
   */
  async change(choice) {
    const old = this.ear;
    if (!old || this._changing) return;
    this._changing = true;
    /** @type {Ear | null} */
    let next = null;
    try {
      await new Promise((resolve, reject) => {
        this._open(choice, (ear) => {
          next = ear;
          setTimeout(() => reject(new CaptureError("capture-failed")), FIRST_BLOCK_MS);
          ear.first = () => resolve(null);
        }).catch(reject);
      });
      await this._flush(old);
    } catch (error) {
      if (next) void close(next);
      if (old.gone && this.ear === old) this._handlers.ended();
      throw error;
    } finally {
      this._changing = false;
    }
    const stopped = this.ear !== old;
    if (!stopped) this.ear = next;
    await close(stopped && next ? next : old);
    this._check();
  }

  /**
   * @param {SourceChoice} choice
   * @param {(ear: Ear) => void} made called before the ear can hear
   */
  async _open(choice, made) {
    const stream = choice.kind === "file" ? null : await open(choice);
    const context = new AudioContext({ latencyHint: "interactive" });
    /** @type {Ear} */
    const ear = { context, stream, node: null, player: null, settings: {}, gone: false, first: () => undefined };
    made(ear);
    try {
      await context.audioWorklet.addModule(new URL("./worklets/capture.js", import.meta.url));
      const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
      ear.node = node;
      node.port.onmessage = (event) => this._take(ear, event.data);
      context.onstatechange = () => this._check();
      const source = choice.kind === "file" ? await this._file(ear, choice.file) : this._live(ear);
      source.connect(node);
      await context.resume();
    } catch (error) {
      if (this.ear === ear) this.ear = null;
      await close(ear);
      throw error instanceof CaptureError ? error : new CaptureError("capture-failed");
    }
  }

  /**
   * @param {Ear} ear
   * @param {{samples?: Int16Array, peak: number, rms: number, gap?: number}} data
   */
  _take(ear, data) {
    if (data.samples) ear.first();
    if (ear !== this.ear) return;
    if (data.samples) this._handlers.block({ ...data, samples: data.samples });
    else if (data.gap) this._handlers.gap(data.gap);
  }

  /** @param {Ear} ear */
  _live(ear) {
    const track = ear.stream?.getAudioTracks()[0];
    if (!ear.stream || !track) throw new CaptureError("tab-silent");
    ear.settings = track.getSettings();
    track.addEventListener("ended", () => this._gone(ear));
    track.addEventListener("mute", () => this._check());
    track.addEventListener("unmute", () => this._check());
    return ear.context.createMediaStreamSource(ear.stream);
  }

  /**
   * @param {Ear} ear
   * @param {File} file
   */
  async _file(ear, file) {
    const { context } = ear;
    const player = new Audio(URL.createObjectURL(file));
    ear.player = player;
    player.addEventListener("ended", () => this._gone(ear));
    const source = context.createMediaElementSource(player);
    source.connect(new GainNode(context, { gain: HEARD })).connect(context.destination);
    try {
      await context.resume();
      await player.play();
    } catch {
      throw new CaptureError("file-unreadable");
    }
    return source;
  }

  /** A source ended by itself. Some devices end it because another one is being opened. @param {Ear} ear */
  _gone(ear) {
    ear.gone = true;
    if (ear === this.ear && !this._changing) this._handlers.ended();
  }

  /** A call, another program or a closed lid takes the microphone without ending it. */
  _check() {
    const ear = this.ear;
    if (!ear || this._changing || ear.context.state === "closed") return;
    const muted = ear.stream?.getAudioTracks().some((track) => track.muted) ?? false;
    const now = muted || ear.context.state !== "running";
    if (now === this._interrupted) return;
    this._interrupted = now;
    this._handlers.interrupted(now);
  }

  /** Hands on what is still inside. @param {Ear} ear */
  async _flush(ear) {
    const { node, context } = ear;
    if (!node || context.state !== "running") return;
    await new Promise((resolve) => {
      const limit = setTimeout(resolve, 300);
      node.port.onmessage = (event) => {
        this._take(ear, event.data);
        if (!event.data.flushed) return;
        clearTimeout(limit);
        resolve(null);
      };
      node.port.postMessage("flush");
    });
  }

  /** Hands on what is still inside, then lets go of everything. */
  async stop() {
    const ear = this.ear;
    if (!ear) return;
    await this._flush(ear);
    this.ear = null;
    this._interrupted = false;
    await close(ear);
  }
}

/** @param {Ear} ear */
async function close({ context, stream, player }) {
  context.onstatechange = null;
  for (const track of stream?.getTracks() ?? []) track.stop();
  if (player) {
    player.pause();
    URL.revokeObjectURL(player.src);
  }
  if (context.state !== "closed") await context.close();
}

/** @param {{kind: "microphone", device: string} | {kind: "tab"}} choice */
async function open(choice) {
  const blocked = obstacle();
  if (blocked) throw blocked;
  try {
    if (choice.kind === "tab") return await tab();
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        ...(choice.device ? { deviceId: { exact: choice.device } } : {}),
        channelCount: { ideal: 1 },
        echoCancellation: { ideal: true },
        noiseSuppression: { ideal: true },
        autoGainControl: { ideal: true },
      },
    });
  } catch (error) {
    if (error instanceof CaptureError) throw error;
    const name = error instanceof DOMException ? error.name : "";
    if (choice.kind === "tab") throw new CaptureError("tab-refused");
    if (name === "NotAllowedError" || name === "SecurityError") throw new CaptureError(inApp() ? "in-app" : "mic-refused");
    if (name === "NotReadableError") throw new CaptureError("mic-busy");
    throw new CaptureError("mic-missing");
  }
}

async function tab() {
  if (!navigator.mediaDevices.getDisplayMedia) throw new CaptureError("tab-refused");
  const options = {
    video: true, // a request without it is rejected
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, suppressLocalAudioPlayback: false },
    systemAudio: "include",
    selfBrowserSurface: "exclude",
  };
  const stream = await navigator.mediaDevices.getDisplayMedia(options);
  for (const track of stream.getVideoTracks()) track.enabled = false;
  if (stream.getAudioTracks().length) return stream;
  for (const track of stream.getTracks()) track.stop();
  throw new CaptureError("tab-silent");
}

/** Names that stand for another device of the list. */
const ALIASES = ["", "default", "communications"];

/** Browsers name microphones, and some tell of more than one, only once one was granted: `named`. */
export async function microphones() {
  const found = ((await navigator.mediaDevices?.enumerateDevices?.()) ?? []).filter(({ kind }) => kind === "audioinput");
  return { named: found.some(({ label }) => label), devices: found.filter(({ deviceId }) => !ALIASES.includes(deviceId)) };
}

/** Ask for a microphone only to learn which there are. Raises `CaptureError`. */
export async function askForMicrophones() {
  for (const track of (await open({ kind: "microphone", device: "" })).getTracks()) track.stop();
}
