// What is understood of everybody who speaks here, as it comes. Only what is new is written.

import { fill, h } from "./dom.js";
import { direction } from "./languages.js";
import { STOP } from "./paragraphs.js";

const LONG = 280; // letters, after which a full stop ends the paragraph
const NEAR_PX = 200; // from the end: its reader wants to see what comes

export class Heard {
  /**
   * @param {import("./captions.js").Captions} captions
   * @param {string} label
   * @param {string} nothing what stands here before the first word
   */
  constructor(captions, label, nothing) {
    this.captions = captions;
    this.log = h("div", { role: "log", "aria-label": label });
    this.tail = h("span", { class: "tentative", "aria-hidden": "true" });
    this.empty = h("p", { class: "quiet" }, nothing);
    this._flowing = h("div", { class: "flowing" }, this.log, this.tail);
    // The tail goes on in the last line, but outside the log: what may still change is not read aloud.
    this.element = h("div", { class: "transcript", tabindex: "0", role: "region", "aria-label": label }, this._flowing, this.empty);
    /** @type {Map<number, number>} words of a channel that are written */
    this._written = new Map();
    /** @type {{channel: number, element: HTMLElement, text: Text} | null} the last paragraph */
    this._last = null;
    this._revision = 0;
  }

  draw() {
    const { channels, revision } = this.captions;
    if (revision !== this._revision && [...channels].some(([number, { words }]) => words.length < (this._written.get(number) ?? 0))) this._clear();
    if (channels.size === 0 && this._written.size) this._clear();
    this._revision = revision;
    const following = this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight < NEAR_PX;
    for (const [number, { words }] of channels) {
      for (const word of words.slice(this._written.get(number) ?? 0)) this._write(number, word);
      this._written.set(number, words.length);
    }
    const open = [...channels.keys()].map((number) => this.captions.sourceTail(number)).join("");
    if (this.tail.textContent !== open) this.tail.textContent = open;
    this.empty.hidden = this._last !== null || open !== "";
    if (following) this.element.scrollTop = this.element.scrollHeight;
  }

  /**
   * @param {number} channel
   * @param {import("./captions.js").Word} word
   */
  _write(channel, word) {
    const last = this._last;
    const ended = last && last.text.data && (last.channel !== channel || (last.text.data.length > LONG && STOP.test(last.text.data)));
    if (!last || ended) this._begin(channel, word.language);
    const { text, element } = /** @type {NonNullable<typeof last>} */ (this._last);
    if (!text.data) {
      Object.assign(element, { lang: word.language, dir: direction(word.language) });
      this._flowing.dir = element.dir;
    }
    text.appendData(text.data ? word.text : word.text.trimStart());
    /** @type {NonNullable<typeof last>} */ (this._last).channel = channel;
  }

  /**
   * @param {number} channel
   * @param {string} language
   */
  _begin(channel, language) {
    const text = document.createTextNode("");
    const element = h("p", { class: "heard", lang: language, dir: direction(language) }, text);
    this._last = { channel, element, text };
    this.log.append(element);
  }

  _clear() {
    this._written.clear();
    this._last = null;
    fill(this.log);
  }
}
