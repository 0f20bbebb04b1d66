// What was said before: committed paragraphs with their originals, oldest first.

import { RECENT } from "./captions.js";
import { h } from "./dom.js";
import { direction } from "./languages.js";
import { joined, Paragraphs } from "./paragraphs.js";

/** @typedef {import("./captions.js").Captions} Captions */

export class History {
  /**
   * @param {Captions} captions
   * @param {{source: () => boolean, beside?: string}} options `beside`: the language beside what was said in the shown one
   */
  constructor(captions, options) {
    this.captions = captions;
    this.options = options;
    this.element = h("ol", { class: "history" });
    this.language = "";
    this.paragraphs = new Paragraphs(captions, "");
    /** @type {Map<string, {element: HTMLElement, source: HTMLElement, target: HTMLElement, name: HTMLElement}>} */
    this._rows = new Map();
    this._frame = 0;
    this._drawn = ""; // what every row depends on, when all of them were drawn
    this._count = 0; // rows that were drawn last
    /** the paragraph from which on the lines show everything; "" keeps nothing back */
    this.until = () => "";
    this.follow = true; // the end is in view and stays there
  }

  /** @param {string} language */
  show(language) {
    this.language = language;
    this.paragraphs = new Paragraphs(this.captions, language);
    this._drawn = "";
    this.update();
  }

  update() {
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._draw();
    });
  }

  _draw() {
    const all = this.paragraphs.all();
    const several = this.captions.channels.size > 1;
    const until = this.until();
    const end = all.findLastIndex((paragraph) => paragraph[0]?.id === until);
    const past = end < 0 ? all : all.slice(0, end);
    const drawn = `${this.language} ${this.captions.revision} ${several}`;
    if (drawn !== this._drawn) {
      this._drawn = drawn;
      this._count = 0;
      this._rows.clear();
      this.element.replaceChildren();
    }
    for (const paragraph of past.slice(Math.max(0, Math.min(this._count, past.length) - RECENT))) this._row(paragraph, several);
    for (const paragraph of all.slice(past.length)) this._remove(paragraph[0]?.id ?? "");
    this._count = past.length;
    const box = this.element.parentElement;
    if (this.follow && box) box.scrollTop = box.scrollHeight;
  }

  /** @param {string} id */
  _remove(id) {
    this._rows.get(id)?.element.remove();
    this._rows.delete(id);
  }

  /**
   * @param {import("./captions.js").Segment[]} paragraph
   * @param {boolean} several
   */
  _row(paragraph, several) {
    const first = paragraph[0];
    if (!first) return;
    let row = this._rows.get(first.id);
    if (!row) {
      const name = h("p", { class: "who" });
      const target = h("p", { class: "said", lang: this.language, dir: direction(this.language) });
      const source = h("p", { class: "original" });
      row = { element: h("li", null, name, target, source), source, target, name };
      this._rows.set(first.id, row);
      this.element.append(row.element);
    }
    const same = paragraph.every((segment) => segment.texts.get(this.language)?.same);
    const { beside = "" } = this.options;
    const language = same ? beside : this.captions.sourceLanguage(first);
    const second = (/** @type {import("./captions.js").Segment} */ segment) =>
      same ? (segment.texts.get(beside)?.text ?? "") : this.captions.source(segment);
    set(row.name, several ? this.captions.channels.get(first.channel)?.name ?? "" : "");
    set(row.target, joined(paragraph.map((segment) => segment.texts.get(this.language)?.text ?? ""), this.language));
    set(row.source, this.options.source() ? joined(paragraph.map(second), language) : "");
    row.source.lang = language;
    row.source.dir = direction(language || "en");
  }
}

/**
 * @param {HTMLElement} element
 * @param {string} text
 */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}
