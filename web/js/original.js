// The recording of the demonstration as it was spoken, quieter while its interpretation sounds.

const ALONE = 0.5;
const BENEATH = 0.12;
const STEP_MS = 40;

export class Original {
  constructor() {
    /** @type {HTMLAudioElement | null} */
    this._audio = null;
    this._target = ALONE;
    this._fading = 0;
  }

  /** A browser that lets no sound begin by itself stays silent; the captions do not need it. @param {URL} url */
  play(url) {
    this.stop();
    const audio = new Audio(url.href);
    this._audio = audio;
    audio.volume = this._target;
    audio.play().catch(() => this.stop());
  }

  /** @param {boolean} spoken over */
  duck(spoken) {
    this._target = spoken ? BENEATH : ALONE;
    if (!this._fading) this._fade();
  }

  stop() {
    clearTimeout(this._fading);
    this._fading = 0;
    this._audio?.pause();
    this._audio = null;
  }

  _fade() {
    this._fading = 0;
    const audio = this._audio;
    if (!audio || Math.abs(audio.volume - this._target) < 0.01) return;
    audio.volume += (this._target - audio.volume) * 0.3;
    this._fading = window.setTimeout(() => this._fade(), STEP_MS);
  }
}
