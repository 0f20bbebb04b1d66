// What a person chose about how things look and sound, kept in this browser. Never a link, never a word that was said.

const KEY = "tsuyaku";

const DEFAULTS = {
  ui: "",
  theme: "auto",
  size: 3,
  contrast: false,
  spacing: false,
  reads: "",
  speaks: "",
  other: "",
  volume: 1,
};

/** @typedef {typeof DEFAULTS} Prefs */

/** @returns {Prefs} */
function load() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? "{}") };
  } catch {
    return { ...DEFAULTS };
  }
}

export const prefs = load();

/** @param {Partial<Prefs>} changes */
export function remember(changes) {
  Object.assign(prefs, changes);
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // A private window may refuse: the choice then lasts as long as the page.
  }
  apply();
}

const SCALES = [0.7, 0.85, 1, 1.25, 1.6];
export const SIZES = SCALES.length;

export function apply() {
  const root = document.documentElement;
  root.dataset.theme = prefs.theme;
  root.dataset.contrast = prefs.contrast ? "high" : "normal";
  root.dataset.spacing = prefs.spacing ? "wide" : "normal";
  root.style.setProperty("--scale", String(SCALES[prefs.size - 1] ?? 1));
}
