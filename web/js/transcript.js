// The text as a file, made here from what the page has: TXT, SRT, WebVTT or JSON.

import { direction } from "./languages.js";
import { STOP } from "./paragraphs.js";

const LINE_CELLS = 42; // a full-width character takes two
const LINES = 2;
const SHORTEST_MS = 1000;

/**
 * @typedef {{start: number, end: number, channel: number, texts: [string, string][]}} Line clock of the room, ms
 * @typedef {"txt" | "srt" | "vtt" | "json"} Format
 */

/**
 * @param {import("./captions.js").Captions} captions
 * @param {string} language
 * @param {"target" | "source" | "both"} which
 * @returns {Line[]}
 */
export function lines(captions, language, which) {
  if (which === "source" && captions.segments.length === 0) return sentences(captions);
  return captions.segments
    .map((segment) => {
      const begin = captions.channels.get(segment.channel)?.roomMs ?? 0;
      const source = captions.source(segment);
      const target = segment.texts.get(language)?.text.trim() ?? "";
      const from = captions.sourceLanguage(segment);
      /** @type {[string, string][]} */
      const texts = [];
      if (which !== "target" && source) texts.push([from, source]);
      if (which !== "source" && target && !(which === "both" && segment.texts.get(language)?.same && source)) {
        texts.push([language, target]);
      }
      return { start: begin + segment.start, end: begin + segment.end, channel: segment.channel, texts };
    })
    .filter((line) => line.texts.length > 0)
    .sort((a, b) => a.start - b.start);
}

/** What was said where nothing is translated here. @param {import("./captions.js").Captions} captions */
function sentences(captions) {
  /** @type {Line[]} */
  const made = [];
  for (const [channel, { words, roomMs }] of captions.channels) {
    let open = false;
    for (const { text, language, start, end } of words) {
      const last = made.at(-1);
      if (last && open) {
        last.end = roomMs + end;
        last.texts = [[language, `${last.texts[0]?.[1] ?? ""}${text}`]];
      } else made.push({ start: roomMs + start, end: roomMs + end, channel, texts: [[language, text.trimStart()]] });
      open = !STOP.test(text);
    }
  }
  return made.sort((a, b) => a.start - b.start);
}

/**
 * @param {Format} format
 * @param {Line[]} all
 */
export function write(format, all) {
  if (format === "json") return `${JSON.stringify({ version: 1, segments: all.map(entry) }, null, 2)}\n`;
  if (format === "txt") return all.map(paragraph).join("");
  const cues = timed(all);
  if (format === "srt") {
    return cues
      .map(({ start, end, text }, index) => `${index + 1}\n${time(start, ",")} --> ${time(end, ",")}\n${text.replaceAll("-->", "->")}\n\n`)
      .join("");
  }
  const escaped = (/** @type {string} */ text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `WEBVTT\n\n${cues.map(({ start, end, text }) => `${time(start, ".")} --> ${time(end, ".")}\n${escaped(text)}\n\n`).join("")}`;
}

/** @param {Line} line */
const paragraph = (line) =>
  line.texts.length === 1 ? `${line.texts[0]?.[1]}\n` : `${line.texts.map(([language, text]) => `${language}: ${text}\n`).join("")}\n`;

/** @param {Line} line */
const entry = (line) => ({
  start_ms: Math.round(line.start),
  end_ms: Math.round(line.end),
  channel: line.channel,
  texts: Object.fromEntries(line.texts),
});

/** Subtitles never overlap and last a second where the next one leaves it. @param {Line[]} all */
function timed(all) {
  /** @type {{start: number, end: number, text: string}[]} */
  const cues = [];
  const sorted = [...all].sort((a, b) => a.start - b.start);
  let free = 0;
  sorted.forEach((line, index) => {
    const pages = paged(line.texts.map(([, text]) => text));
    const start = Math.max(line.start, free);
    const next = sorted[index + 1]?.start ?? Infinity;
    const end = Math.max(start + pages.length, Math.min(next, Math.max(line.end, start + SHORTEST_MS * pages.length)));
    const step = (end - start) / pages.length;
    pages.forEach((text, page) => cues.push({ start: start + step * page, end: start + step * (page + 1), text }));
    free = end;
  });
  return cues;
}

/** Pages of two lines; of one for each language where there are several. @param {string[]} texts */
function paged(texts) {
  const rows = texts.map((text) => wrap(text));
  const each = texts.length === 1 ? LINES : 1;
  const count = Math.max(1, ...rows.map((list) => Math.ceil(list.length / each)));
  return Array.from({ length: count }, (_, page) => rows.flatMap((list) => list.slice(page * each, (page + 1) * each)).join("\n"));
}

/** @param {string} text */
const cells = (text) => [...text].reduce((sum, c) => sum + (/[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/.test(c) ? 2 : 1), 0);

/**
 * Lines of at most 42 cells, between words, or between characters where there are no spaces.
 * @param {string} text
 */
export function wrap(text) {
  const rows = [""];
  for (const unit of text.match(/[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef][、。，．！？」）]*|\s*[^\s\u3040-\u30ff\u3400-\u9fff\uff00-\uffef]+|\s+/g) ?? []) {
    const last = /** @type {string} */ (rows.at(-1));
    if (cells(last + unit.trimEnd()) <= LINE_CELLS) rows[rows.length - 1] = last + unit;
    else rows.push(unit.trimStart());
  }
  return rows.map((row) => row.trim()).filter(Boolean);
}

/**
 * @param {number} ms
 * @param {string} point
 */
function time(ms, point) {
  const whole = Math.round(ms);
  const two = (/** @type {number} */ n) => String(Math.floor(n)).padStart(2, "0");
  return `${two(whole / 3600000)}:${two((whole / 60000) % 60)}:${two((whole / 1000) % 60)}${point}${String(whole % 1000).padStart(3, "0")}`;
}

/**
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = name;
  link.dir = direction("en");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
