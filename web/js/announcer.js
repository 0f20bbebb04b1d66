// For screen readers: whole clauses, once each, and never what may still change.

import { RECENT } from "./captions.js";
import { h } from "./dom.js";
import { direction } from "./languages.js";

const KEPT = 20; // clauses in the log

export class Announcer {
  /** @param {import("./captions.js").Captions} captions */
  constructor(captions) {
    this.captions = captions;
    this.element = h("div", { role: "log", class: "hidden" });
    this.language = "";
    /** @type {Set<string>} segments */
    this._told = new Set();
  }

  /** What is there already is not told again. @param {string} language */
  show(language) {
    this.language = language;
    this.element.replaceChildren();
    this.element.lang = language;
    this.element.dir = direction(language);
    this._told = new Set(this.captions.segments.filter((segment) => segment.texts.get(language)?.final).map(({ id }) => id));
  }

  update() {
    for (const segment of this.captions.segments.slice(-RECENT)) {
      const rendering = segment.texts.get(this.language);
      if (!rendering?.final || this._told.has(segment.id)) continue;
      this._told.add(segment.id);
      this.element.append(h("p", null, rendering.text.trim()));
      while (this.element.children.length > KEPT) this.element.firstElementChild?.remove();
    }
  }
}
