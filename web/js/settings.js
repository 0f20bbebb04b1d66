// Sheets that several pages open: text and colours, saving the text.

import { button, choice, h, icon, select, sheet, toggle } from "./dom.js";
import { t } from "./i18n/index.js";
import { nativeName } from "./languages.js";
import { prefs, remember, SIZES } from "./prefs.js";
import { download, lines, write } from "./transcript.js";

/** @param {(() => void) | null} [changed] */
export function openDisplay(changed = null) {
  const size = h("output", null, String(prefs.size));
  const resize = (/** @type {number} */ by) => {
    remember({ size: Math.min(SIZES, Math.max(1, prefs.size + by)) });
    size.textContent = String(prefs.size);
    changed?.();
  };
  sheet(
    t("display"),
    t("close"),
    h(
      "div",
      { class: "stepper" },
      h("span", null, t("display.size")),
      button(t("display.smaller"), () => resize(-1), { class: "small-a" }),
      size,
      button(t("display.larger"), () => resize(1), { class: "large-a" }),
    ),
    choice(
      t("display.theme"),
      [["auto", t("display.auto")], ["light", t("display.light")], ["dark", t("display.dark")]],
      prefs.theme,
      (theme) => remember({ theme }),
    ),
    toggle(t("display.contrast"), prefs.contrast, (contrast) => remember({ contrast })),
    toggle(t("display.spacing"), prefs.spacing, (spacing) => {
      remember({ spacing });
      changed?.();
    }),
  );
}

/**
 * @param {import("./captions.js").Captions} captions
 * @param {string} language
 */
export function openSave(captions, language) {
  /** @type {"target" | "source" | "both"} */
  let which = "target";
  const from = captions.segments[0] ? captions.sourceLanguage(captions.segments[0]) : "";
  const save = (/** @type {import("./transcript.js").Format} */ format) => {
    const stamp = new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-");
    download(`tsuyaku-${stamp}.${format}`, write(format, lines(captions, language, which)));
  };
  /** @type {import("./transcript.js").Format[]} */
  const formats = ["txt", "srt", "vtt", "json"];
  /** @type {[string, string][]} */
  const languages = [["target", nativeName(language)]];
  if (from && from !== language) languages.push(["source", nativeName(from)], ["both", t("save.both")]);
  sheet(
    t("save"),
    t("close"),
    captions.segments.length === 0 ? h("p", { class: "quiet" }, t("save.none")) : null,
    choice(t("save.languages"), languages, which, (value) => {
      which = /** @type {typeof which} */ (value);
    }),
    h("div", { class: "row" }, formats.map((format) => button(format.toUpperCase(), () => save(format), { icon: "save" }))),
  );
}

/**
 * A row of languages; one tap chooses.
 * @param {string} label
 * @param {string[]} codes
 * @param {string} value
 * @param {(code: string) => void} changed
 */
export function languageRow(label, codes, value, changed) {
  const row = h("div", { class: "chips", role: "group", "aria-label": label });
  for (const code of codes) {
    const chip = h(
      "button",
      { type: "button", class: "chip", lang: code, "aria-pressed": String(code === value), onclick: () => choose(code) },
      nativeName(code),
    );
    chip.dataset.code = code;
    row.append(chip);
  }
  const choose = (/** @type {string} */ code) => {
    for (const chip of row.querySelectorAll("button")) chip.setAttribute("aria-pressed", String(chip.dataset.code === code));
    changed(code);
  };
  return row;
}

/**
 * @param {string} label
 * @param {string[]} codes
 * @param {string} value
 * @param {(code: string) => void} changed
 * @param {{auto?: boolean, id?: string}} [options]
 */
export function languageSelect(label, codes, value, changed, options = {}) {
  /** @type {[string, string][]} */
  const entries = codes.map((code) => [code, nativeName(code)]);
  if (options.auto) entries.unshift(["auto", t("auto")]);
  return select(label, entries, value, changed, { id: options.id });
}

/** The name of the thing, as on every page. */
export const brand = () =>
  h("a", { class: "brand", href: "./" }, h("span", null, "Tsuyaku"), h("span", { lang: "ja", class: "kanji" }, "通訳"));

/** @param {Parameters<typeof icon>[0]} name */
export const mark = (name) => h("span", { class: "mark" }, icon(name));

/** Keeps the screen on while the page is seen; asks again when it comes back. */
export class Awake {
  constructor() {
    /** @type {WakeLockSentinel | null} */
    this._lock = null;
    this._wanted = false;
    document.addEventListener("visibilitychange", () => {
      if (this._wanted && document.visibilityState === "visible") void this.hold();
    });
  }

  async hold() {
    this._wanted = true;
    try {
      this._lock = (await navigator.wakeLock?.request("screen")) ?? null;
    } catch {
      this._lock = null; // a low battery refuses it; the screen then goes dark as usual
    }
  }

  release() {
    this._wanted = false;
    void this._lock?.release();
    this._lock = null;
  }
}
