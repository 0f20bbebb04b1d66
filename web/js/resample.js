// Streaming resampler: a windowed sinc (Kaiser, beta 8) of `ZEROS` zero crossings a side, its cut-off below the lower
// of the two Nyquist rates, read from a table of `PHASES` and interpolated linearly between neighbours.

const ZEROS = 16;
const PHASES = 256;
const BETA = 8;
const ROLL_OFF = 0.92; // of the lower Nyquist rate

/** Modified Bessel function of the first kind, order 0. @param {number} x */
function bessel(x) {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > 1e-12 * sum; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

export class Resampler {
  /**
   * @param {number} from Hz
   * @param {number} to Hz
   */
  constructor(from, to) {
    this.step = from / to;
    this.same = from === to;
    const cutoff = Math.min(1, to / from) * ROLL_OFF; // of the input's Nyquist rate
    this.half = Math.ceil(ZEROS / cutoff); // taps a side
    const length = this.half * PHASES + 1;
    this.table = new Float32Array(length + 1);
    for (let i = 0; i < length; i += 1) {
      const x = i / PHASES; // samples from the centre
      const sinc = x === 0 ? cutoff : Math.sin(Math.PI * cutoff * x) / (Math.PI * x);
      const edge = x / this.half;
      this.table[i] = (sinc * bessel(BETA * Math.sqrt(Math.max(0, 1 - edge * edge)))) / bessel(BETA);
    }
    this.history = new Float32Array(2 * this.half);
    this.position = this.half; // of the next output in `history` followed by new input
  }

  /**
   * @param {Float32Array} input
   * @returns {Float32Array} about `input.length / step` samples, `half` input samples late
   */
  process(input) {
    if (this.same) return input.slice();
    const { half, table, step } = this;
    const all = new Float32Array(this.history.length + input.length);
    all.set(this.history);
    all.set(input, this.history.length);
    const count = Math.max(0, Math.ceil((all.length - half - this.position) / step));
    const output = new Float32Array(count);
    let at = this.position;
    for (let n = 0; n < count; n += 1, at += step) {
      const centre = Math.floor(at);
      let sum = 0;
      for (let k = centre - half + 1; k <= centre + half; k += 1) {
        const place = Math.abs(at - k) * PHASES;
        const low = Math.floor(place);
        const a = table[low] ?? 0;
        sum += (all[k] ?? 0) * (a + ((table[low + 1] ?? 0) - a) * (place - low));
      }
      output[n] = sum;
    }
    const kept = Math.min(all.length, 2 * half + Math.ceil(step));
    this.history = all.slice(all.length - kept);
    this.position = at - (all.length - kept);
    return output;
  }

  /** What is still inside. */
  flush() {
    return this.same ? new Float32Array(0) : this.process(new Float32Array(this.half + 1));
  }
}
