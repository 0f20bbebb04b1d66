// The recording of the demonstration as it was spoken, quieter while its interpretation sounds.

import { energy } from "./playback.js";

const ALONE = 0.5;
const BENEATH = 0.12;
const FADE_S = 0.12; // of the exponential: 95 % after three of them

export class Original {
  constructor() {
    /** @type {HTMLAudioElement | null} */
    this._audio = null;
    /** @type {AudioContext | null} */
    this._context = null;
    // Some devices leave the volume of an element to its buttons: how loud it is, is the gain's.
    /** @type {GainNode | null} */
    this._gain = null;
    /** @type {AnalyserNode | null} behind the gain */
    this.analyser = null;
    this._target = ALONE;
  }

  /** A browser that lets no sound begin by itself stays silent; the captions do not need it. @param {URL} url */
  play(url) {
    this.stop();
    const audio = new Audio(url.href);
    const context = new AudioContext();
    this._audio = audio;
    this._context = context;
    this._gain = new GainNode(context, { gain: this._target });
    this.analyser = new AnalyserNode(context, { fftSize: 2048 });
    context.createMediaElementSource(audio).connect(this._gain).connect(this.analyser).connect(context.destination);
    audio.play().then(() => context.resume(), () => this._audio === audio && this.stop());
  }

  /** @param {boolean} spoken over */
  duck(spoken) {
    const target = spoken ? BENEATH : ALONE;
    if (target === this._target) return;
    this._target = target;
    if (this._context) this._gain?.gain.setTargetAtTime(target, this._context.currentTime, FADE_S);
  }

  /** Root mean square of what sounds just now. */
  get energy() {
    return energy(this.analyser);
  }

  stop() {
    this._audio?.pause();
    void this._context?.close();
    this._audio = this._context = this._gain = this.analyser = null;
  }
}
