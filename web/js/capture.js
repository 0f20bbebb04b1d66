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
 */

export class Capture {
  /** @param {Handlers} handlers */
  constructor(handlers) {
    this._handlers = handlers;
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {AudioWorkletNode | null} */
    this._node = null;
    /** @type {MediaStream | null} */
    this._stream = null;
    /** @type {AudioNode | null} */
    this._source = null;
    /** @type {HTMLAudioElement | null} of a file: its playing is the clock */
    this.player = null;
    /** what the browser really does with the sound */
    this.settings = /** @type {MediaTrackSettings} */ ({});
    this._interrupted = false;
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") void this._context?.resume();
    });
  }

  /** From a sound to its block here, ms. */
  get delayMs() {
    const { latency } = /** @type {{latency?: number}} */ (this.settings);
    return (latency ? latency * 1000 : DEVICE_MS) + BLOCK_MS;
  }

  /** From a tap. Raises `CaptureError`. @param {SourceChoice} choice */
  async start(choice) {
    const stream = choice.kind === "file" ? null : await open(choice);
    this._stream = stream;
    const context = new AudioContext({ latencyHint: "interactive" });
    this._context = context;
    try {
      await context.audioWorklet.addModule(new URL("./worklets/capture.js", import.meta.url));
      const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
      this._node = node;
      node.port.onmessage = (event) => {
        if (event.data.samples) this._handlers.block(event.data);
        else if (event.data.gap) this._handlers.gap(event.data.gap);
      };
      context.onstatechange = () => this._check();
      this._source = choice.kind === "file" ? await this._file(context, choice.file) : this._live(context, stream);
      this._source.connect(node);
      await context.resume();
    } catch (error) {
      await this.stop();
      throw error instanceof CaptureError ? error : new CaptureError("capture-failed");
    }
  }

  /** Another microphone; the one before is heard until this one is. Raises `CaptureError`. @param {string} device */
  async change(device) {
    const context = this._context;
    const stream = await open({ kind: "microphone", device });
    if (!context || context !== this._context || !this._node) return release(stream);
    const source = this._live(context, stream);
    source.connect(this._node);
    this._source?.disconnect();
    release(this._stream);
    this._source = source;
    this._stream = stream;
    this._check();
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStream | null} stream
   */
  _live(context, stream) {
    const track = stream?.getAudioTracks()[0];
    if (!stream || !track) throw new CaptureError("tab-silent");
    this.settings = track.getSettings();
    track.addEventListener("ended", () => this._handlers.ended());
    track.addEventListener("mute", () => this._check());
    track.addEventListener("unmute", () => this._check());
    return context.createMediaStreamSource(stream);
  }

  /**
   * @param {AudioContext} context
   * @param {File} file
   */
  async _file(context, file) {
    const player = new Audio(URL.createObjectURL(file));
    this.player = player;
    player.addEventListener("ended", () => this._handlers.ended());
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

  /** A call, another program or a closed lid takes the microphone without ending it. */
  _check() {
    const context = this._context;
    if (!context || context.state === "closed") return;
    const muted = this._stream?.getAudioTracks().some((track) => track.muted) ?? false;
    const now = muted || context.state !== "running";
    if (now === this._interrupted) return;
    this._interrupted = now;
    this._handlers.interrupted(now);
  }

  /** Hands on what is still inside, then lets go of everything. */
  async stop() {
    const node = this._node;
    if (node && this._context?.state === "running") {
      await new Promise((resolve) => {
        const limit = setTimeout(resolve, 300);
        node.port.onmessage = (event) => {
          if (event.data.samples) this._handlers.block(event.data);
          if (!event.data.flushed) return;
          clearTimeout(limit);
          resolve(null);
        };
        node.port.postMessage("flush");
      });
    }
    this._node = null;
    this._interrupted = false;
    if (this._context) this._context.onstatechange = null;
    release(this._stream);
    this._stream = this._source = null;
    if (this.player) {
      this.player.pause();
      URL.revokeObjectURL(this.player.src);
      this.player = null;
    }
    await this._context?.close();
    this._context = null;
  }
}

/** @param {MediaStream | null} stream */
function release(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
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

/** Microphones; their names are known only after one was granted. */
export async function microphones() {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return devices.filter((device) => device.kind === "audioinput" && device.deviceId);
}
