// The caption lines: committed text, then what may still change. Text only ever moves up, by whole lines.

import { RECENT } from "./captions.js";
import { h } from "./dom.js";
import { direction } from "./languages.js";
import { joined, Paragraphs } from "./paragraphs.js";

const KEPT = 4; // paragraphs in the lines; older ones are in the history
const HURRY = 2; // lines that may wait below; what is more moves at once
const READ_PER_S = 25; // letters, of a quick reader: a line stays so long
const SHORTEST_MS = 500;
const LONGEST_MS = 1600;

/** @typedef {import("./captions.js").Captions} Captions */

export class Roll {
  /**
   * @param {Captions} captions
   * @param {{painted?: (arrived: number) => void, moved?: () => void, tentative?: boolean}} [options]
   */
  constructor(captions, options = {}) {
    this.captions = captions;
    this.options = options;
    this.flow = h("div", { class: "flow" });
    // What changes all the time is not for screen readers: the log beside it has the committed text.
    this.element = h("div", { class: "roll", "aria-hidden": "true" }, this.flow);
    new ResizeObserver(() => this._wrapped()).observe(this.element);
    this.language = "";
    this.paragraphs = new Paragraphs(captions, "");
    this._after = 0;
    /** @type {Map<string, {element: HTMLElement, done: Text, open: HTMLElement}>} by first segment */
    this._shown = new Map();
    this._offset = 0;
    this._movedAt = 0;
    this._opening = true; // what is there already is not played back
    /** the first paragraph of which no line has left the view */
    this.firstWhole = "";
    this._frame = 0;
    this._later = 0;
    this._arrived = 0;
  }

  /** @param {string} language */
  show(language) {
    this.language = language;
    this.paragraphs = new Paragraphs(this.captions, language, this._after);
    this.flow.lang = language;
    this.flow.dir = direction(language);
    this._shown.clear();
    this.flow.replaceChildren();
    this._move(0);
    this._opening = true;
    this.update();
  }

  /** Begin anew behind what is complete now; `complete` false: with everything. @param {boolean} [complete] */
  begin(complete = true) {
    const done = complete ? this.captions.segments.findLast((segment) => segment.texts.get(this.language)?.final) : undefined;
    this._after = done?.order ?? 0;
    this.show(this.language);
  }

  /** Lines end elsewhere now. */
  _wrapped() {
    this._offset = 0;
    this._opening = true;
    this.update();
  }

  /** Draw with the next frame. @param {boolean} [committed] */
  update(committed = false) {
    if (committed && !this._arrived) this._arrived = performance.now();
    this._frame ||= requestAnimationFrame(() => {
      this._frame = 0;
      this._draw();
      const arrived = this._arrived;
      this._arrived = 0;
      // After the frame's own rendering: a message posted from it runs when it was painted.
      if (arrived) afterPaint(() => this.options.painted?.(arrived));
    });
  }

  _draw() {
    const all = this.paragraphs.all();
    const shown = all.slice(-KEPT);
    const tails = this.options.tentative === false ? [] : this.captions.tentative(this.language);
    const wanted = new Set(shown.map((paragraph) => paragraph[0]?.id ?? ""));
    for (const [id, { element }] of this._shown) {
      if (wanted.has(id)) continue;
      const line = Number.parseFloat(getComputedStyle(this.flow).lineHeight) || 1;
      this._offset = Math.max(0, this._offset - Math.round(element.getBoundingClientRect().height / line));
      element.remove();
      this._shown.delete(id);
    }
    for (const paragraph of shown) {
      const text = joined(paragraph.map((segment) => segment.texts.get(this.language)?.text ?? ""), this.language);
      const ids = new Set(paragraph.map((segment) => segment.id));
      const mine = tails.filter((tail) => ids.has(tail.id) && paragraph.at(-1)?.id === tail.id);
      this._paragraph(paragraph[0]?.id ?? "", text, mine.map((tail) => tail.text).join(""));
    }
    this._fresh(tails, all.at(-1) ?? []);
    this._scroll();
  }

  /**
   * A segment that has no committed text yet: behind the last paragraph.
   * @param {{channel: number, id: string, text: string}[]} tails
   * @param {import("./captions.js").Segment[]} last
   */
  _fresh(tails, last) {
    const known = new Set(this.captions.segments.slice(-RECENT).filter((s) => s.texts.get(this.language)?.text.trim()).map((s) => s.id));
    const fresh = tails.filter((tail) => !known.has(tail.id));
    const row = this._shown.get(last[0]?.id ?? "");
    for (const tail of fresh) {
      if (row && last[0]?.channel === tail.channel) row.open.textContent += spaced(row.done.data + row.open.textContent, tail.text);
    }
    const orphans = fresh.filter((tail) => !(row && last[0]?.channel === tail.channel));
    if (orphans.length) this._paragraph("tail", "", orphans.map((tail) => tail.text.trim()).join(" "));
    else {
      this._shown.get("tail")?.element.remove();
      this._shown.delete("tail");
    }
  }

  /**
   * @param {string} id
   * @param {string} done
   * @param {string} open
   */
  _paragraph(id, done, open) {
    let row = this._shown.get(id);
    if (!row) {
      const text = document.createTextNode("");
      const tentative = h("span", { class: "tentative" });
      row = { element: h("p", null, h("span", { class: "committed" }, text), tentative), done: text, open: tentative };
      this._shown.set(id, row);
      this.flow.append(row.element);
    } else if (id === "tail") this.flow.append(row.element);
    if (row.done.data !== done) {
      if (done.startsWith(row.done.data)) row.done.appendData(done.slice(row.done.data.length));
      else row.done.data = done;
    }
    const tail = open && done ? spaced(done, open) : open.trimStart();
    if (row.open.textContent !== tail) row.open.textContent = tail;
  }

  /** Up by whole lines, never down: a tail that shrinks leaves its line empty. */
  _scroll() {
    clearTimeout(this._later);
    const line = Number.parseFloat(getComputedStyle(this.flow).lineHeight) || 1;
    const height = this.element.clientHeight;
    const room = Math.max(1, Math.floor(height / line + 0.1));
    this.element.style.clipPath = `inset(0 -1em ${Math.max(0, height - room * line)}px)`; // no half of a line
    const target = Math.max(this._offset, Math.round(this.flow.getBoundingClientRect().height / line) - room);
    if (this._opening) {
      this._opening = this.flow.childElementCount === 0;
      return this._move(target);
    }
    if (target <= this._offset) return this._move(this._offset);
    const waiting = target - this._offset;
    const since = performance.now() - this._movedAt;
    const pace = this._pace();
    if (waiting <= HURRY && since < pace) {
      this._later = window.setTimeout(() => this._scroll(), pace - since);
      return this._move(this._offset); // paragraphs may have left the lines
    }
    this._movedAt = performance.now();
    this._move(this._offset + Math.max(1, waiting - HURRY));
    if (waiting > 1) this._later = window.setTimeout(() => this._scroll(), pace);
  }

  /** How long a line takes to be read, ms. */
  _pace() {
    const line = Number.parseFloat(getComputedStyle(this.flow).lineHeight) || 1;
    const lines = Math.max(1, this.flow.getBoundingClientRect().height / line);
    const letters = (this.flow.textContent ?? "").length / lines;
    return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, (1000 * letters) / READ_PER_S));
  }

  /** @param {number} offset lines */
  _move(offset) {
    this._offset = offset;
    const above = offset * (Number.parseFloat(getComputedStyle(this.flow).lineHeight) || 0);
    this.flow.style.transform = `translateY(${-above}px)`;
    let top = 0;
    let whole = "";
    for (const [id, { element }] of this._shown) {
      if (top >= above - 1) {
        whole = id;
        break;
      }
      top += element.getBoundingClientRect().height;
    }
    if (whole === this.firstWhole) return;
    this.firstWhole = whole;
    this.options.moved?.();
  }
}

/**
 * @param {string} before
 * @param {string} text
 */
const spaced = (before, text) => (/^\s|^[\p{P}]/u.test(text) || !/[\p{L}\p{N}\p{P}]$/u.test(before) || /[\p{Lo}。、]$/u.test(before) ? text : ` ${text}`);

/** @param {() => void} action */
function afterPaint(action) {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    channel.port1.close();
    action();
  };
  channel.port2.postMessage(null);
}
