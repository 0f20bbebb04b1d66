// The recording of the demonstration as it was spoken, quieter while its interpretation sounds.

const ALONE = 0.5;
const BENEATH = 0.12;
const FADE_S = 0.15; // time constant

export class Original {
  constructor() {
    /** @type {HTMLAudioElement | null} */
    this._audio = null;
    /** @type {AudioContext | null} */
    this._context = null;
    /** @type {GainNode | null} an element's own volume cannot be set on iPhones */
    this._gain = null;
    /** @type {AnalyserNode | null} */
    this.analyser = null;
  }

  /** A browser that lets no sound begin by itself stays silent; the captions do not need it. @param {URL} url */
  play(url) {
    this.stop();
    const audio = new Audio(url.href);
    const context = new AudioContext();
    this._audio = audio;
    this._context = context;
    this._gain = new GainNode(context, { gain: ALONE });
    this.analyser = new AnalyserNode(context, { fftSize: 2048 });
    context.createMediaElementSource(audio).connect(this._gain).connect(this.analyser).connect(context.destination);
    void context.resume();
    audio.play().catch(() => this.stop());
  }

  /** @param {boolean} spoken over */
  duck(spoken) {
    if (this._context) this._gain?.gain.setTargetAtTime(spoken ? BENEATH : ALONE, this._context.currentTime, FADE_S);
  }

  stop() {
    this._audio?.pause();
    void this._context?.close();
    this._audio = this._context = this._gain = this.analyser = null;
  }
}
