// Sheets that several pages open: text and colours, saving the text.

import { ApiError } from "./api.js";
import { button, choice, fill, h, icon, select, sheet, toggle } from "./dom.js";
import { hours, t } from "./i18n/index.js";
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
 * @param {import("./room.js").Room} room
 * @param {string} language
 * @param {{languages?: string[], remote?: (format: string, language: string) => Promise<{text: string, cut: boolean}>}} [more] languages that
 * are not in the page, and how to get their text
 */
export function openSave(room, language, { languages = [], remote } = {}) {
  const { captions } = room;
  const spoken = captions.spokenLanguage;
  const read = captions.segments.length > 0;
  /** @type {[string, string][]} what, and its name */
  const choices = [];
  if (read) choices.push(["target", nativeName(language)]);
  if (spoken && !(read && spoken === language)) choices.push(["source", nativeName(spoken)]);
  if (read && spoken && spoken !== language) choices.push(["both", t("save.both")]);
  if (spoken) for (const code of languages) if (code !== spoken) choices.push([code, nativeName(code)]);
  let which = choices[0]?.[0] ?? "";
  const save = async (/** @type {import("./transcript.js").Format} */ format) => {
    const local = which === "target" || which === "source" || which === "both" ? which : null;
    try {
      const { text, cut } = local ? { text: write(format, lines(captions, language, local)), cut: room.cut } : (await remote?.(format, which)) ?? { text: "", cut: false };
      beginning.hidden = !cut;
      const stamp = new Date().toISOString().slice(0, 16).replace(/[:T]/g, "-");
      download(`tsuyaku-${stamp}${local ? "" : `-${which}`}.${format}`, text);
    } catch (error) {
      room.tell("save", error instanceof ApiError && error.code === "busy" ? "error.later" : "error.server", { danger: true, passing: true });
    }
  };
  const beginning = h("p", { class: "notice", role: "status" }, t("cut.file"));
  beginning.hidden = !room.cut;
  /** @type {import("./transcript.js").Format[]} */
  const formats = ["txt", "srt", "vtt", "json"];
  if (!choices.length) return sheet(t("save"), t("close"), h("p", { class: "quiet" }, t("save.none")));
  return sheet(
    t("save"),
    t("close"),
    choices.length > 1 ? choice(t("save.languages"), choices, which, (value) => (which = value)) : null,
    h("div", { class: "formats" }, formats.map((format) => button(format.toUpperCase(), () => void save(format), { icon: "save" }))),
    beginning,
    h("p", { class: "quiet" }, room.keep ? t("kept.hours", { h: hours(room.keep) }) : t("kept")),
  );
}

const ROW = 5; // languages one tap away; the others are two

/**
 * A row of languages; one tap chooses. Where there are many, the person's own come first and the rest are in a sheet.
 * @param {string} label
 * @param {string[]} codes best first
 * @param {string} value
 * @param {(code: string) => void} changed
 */
export function languageRow(label, codes, value, changed) {
  const row = h("div", { class: "chips", role: "group", "aria-label": label });
  let chosen = value;
  let near = codes.slice(0, codes.length > ROW + 1 ? ROW : codes.length);
  /** @param {string} code @param {() => void} [after] */
  const chip = (code, after) => {
    const made = h(
      "button",
      { type: "button", class: "chip", lang: code, "aria-pressed": String(code === chosen), onclick: () => {
        choose(code);
        after?.();
      } },
      nativeName(code),
    );
    made.dataset.code = code;
    return made;
  };
  const all = () => {
    const dialog = sheet(t("listen.more"), t("close"), h("div", { class: "chips wrapped" }, [...codes].sort((a, b) => nativeName(a).localeCompare(nativeName(b))).map((code) => chip(code, () => dialog.close()))));
  };
  const draw = () => {
    if (!near.includes(chosen)) near = [chosen, ...near.slice(0, -1)];
    fill(row, near.map((code) => chip(code)), near.length < codes.length ? button(t("listen.more"), all, { class: "chip", id: "more-languages" }) : null);
  };
  const choose = (/** @type {string} */ code) => {
    chosen = code;
    changed(code);
    if (!near.includes(code)) return draw();
    for (const each of row.querySelectorAll("button")) each.setAttribute("aria-pressed", String(each.dataset.code === code));
  };
  draw();
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
