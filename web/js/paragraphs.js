// Segments that read as one paragraph: of one channel, up to a full stop. What was once decided stays.

import { RECENT } from "./captions.js";

/**
 * @typedef {import("./captions.js").Captions} Captions
 * @typedef {import("./captions.js").Segment} Segment
 */

export const STOP = /[.!?。！？…؟۔।]["'”’»)\]」』]*\s*$/u;
const LONGEST = 4; // segments of one paragraph without a full stop

export class Paragraphs {
  /**
   * @param {Captions} captions
   * @param {string} language
   * @param {number} [after] only segments that were begun after this message of the log
   */
  constructor(captions, language, after = 0) {
    this.captions = captions;
    this.language = language;
    this.after = after;
    /** @type {Map<string, boolean>} segment begins a paragraph */
    this._begins = new Map();
    /** @type {Segment[][]} paragraphs that change only with the captions' revision */
    this._settled = [];
    this._next = 0; // the first segment behind them
    this._revision = 0;
  }

  /** @returns {Segment[][]} only segments with text in the language */
  all() {
    const { segments, revision } = this.captions;
    if (revision !== this._revision) {
      this._revision = revision;
      this._settled = [];
      this._next = 0;
    }
    /** @type {{paragraph: Segment[], end: number}[]} */
    const open = [];
    for (let at = this._next; at < segments.length; at += 1) {
      const segment = /** @type {Segment} */ (segments[at]);
      if (segment.order <= this.after || !segment.texts.get(this.language)?.text.trim()) continue;
      const last = open.at(-1);
      const before = last?.paragraph ?? this._settled.at(-1);
      if (!last || !before || this._isFirst(segment, before)) open.push({ paragraph: [segment], end: at + 1 });
      else {
        last.paragraph.push(segment);
        last.end = at + 1;
      }
    }
    while (open.length > 1 && /** @type {{end: number}} */ (open[0]).end <= segments.length - RECENT) {
      const { paragraph, end } = /** @type {{paragraph: Segment[], end: number}} */ (open.shift());
      this._settled.push(paragraph);
      this._next = end;
    }
    return [...this._settled, ...open.map(({ paragraph }) => paragraph)];
  }

  /**
   * @param {Segment} segment
   * @param {Segment[]} last
   */
  _isFirst(segment, last) {
    let begins = this._begins.get(segment.id);
    if (begins === undefined) {
      const before = /** @type {Segment} */ (last.at(-1));
      const text = before.texts.get(this.language)?.text ?? "";
      begins = before.channel !== segment.channel || STOP.test(text) || last.length >= LONGEST;
      this._begins.set(segment.id, begins);
    }
    return begins;
  }
}

/**
 * Clauses as one text. Their own spaces count; where both sides lack one and the language has them, it is added.
 * @param {string[]} texts
 * @param {string} language
 */
export function joined(texts, language) {
  const gap = ["ja", "zh", "yue", "th", "lo", "km", "my"].includes(language) ? "" : " ";
  return texts.reduce((all, text) => all + (/\s$/.test(all) || /^\s/.test(text) || !all ? "" : gap) + text, "").trim();
}
