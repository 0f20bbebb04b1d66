// The words of the interface. English is always there; another dictionary is loaded when it is wanted.

import { preferred } from "../languages.js";
import { prefs } from "../prefs.js";
import en from "./en.js";

/** @typedef {keyof typeof en} Key */
/** @typedef {typeof en} Dictionary */

export const INTERFACES = ["en", "pt", "ja"];

/** @type {Record<string, () => Promise<{default: Dictionary}>>} */
const LOADERS = { pt: () => import("./pt.js"), ja: () => import("./ja.js") };

let current = "en";
let words = en;

export const interfaceLanguage = () => current;

/**
 * Choose by what the person said, else by their browser.
 * @param {Key | ""} [title] of the page
 */
export async function setUp(title = "") {
  current = INTERFACES.find((code) => code === prefs.ui) ?? preferred().find((code) => INTERFACES.includes(code)) ?? "en";
  words = await dictionary(current);
  document.documentElement.lang = current;
  document.title = title ? `${t(title)} · Tsuyaku` : "Tsuyaku";
  document.querySelector('meta[name="description"]')?.setAttribute("content", t("app.claim"));
}

/** @param {string} language @returns {Promise<Dictionary>} English where there is none */
export async function dictionary(language) {
  return (await LOADERS[language]?.())?.default ?? en;
}

/**
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export const t = (key, values) => said(words, key, values);

/**
 * @param {Dictionary} from
 * @param {Key} key
 * @param {Record<string, string | number>} [values]
 */
export const said = (from, key, values = {}) =>
  from[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));

/** @param {number} milliseconds one digit of seconds, as the interface writes numbers */
export const seconds = (milliseconds) =>
  (Math.max(0, milliseconds) / 1000).toLocaleString(current, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** @param {number} s as hours, with the word for it */
export const hours = (s) =>
  new Intl.NumberFormat(current, { style: "unit", unit: "hour", unitDisplay: "long", maximumFractionDigits: 1 }).format(s / 3600);
