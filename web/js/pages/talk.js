// Two people, two languages: one phone between them with its far half turned round, or a phone each in one room.

import { info } from "../api.js";
import { Announcer } from "../announcer.js";
import { CaptureError, obstacle } from "../capture.js";
import { button, choice, fill, h, sheet, toggle } from "../dom.js";
import { History } from "../history.js";
import { dictionary, said, setUp, t } from "../i18n/index.js";
import { invitation } from "../invite.js";
import { direction, nativeName, ordered, preferred } from "../languages.js";
import { opusWorks } from "../opus.js";
import { joined, Paragraphs } from "../paragraphs.js";
import { Playback } from "../playback.js";
import { apply, prefs, remember } from "../prefs.js";
import { Room, shared } from "../room.js";
import { Roll } from "../roll.js";
import { Served, spoken } from "../served.js";
import { Awake, brand, languageSelect, openDisplay, openSave } from "../settings.js";
import { Speaking } from "../speaking.js";

/** @typedef {import("../i18n/index.js").Key} Key */
/**
 * @typedef {{code: string, which: string, element: HTMLElement, roll: Roll, announcer: Announcer, button: HTMLButtonElement, hint: HTMLElement,
 *   words: import("../i18n/index.js").Dictionary}} Half
 */

const LARGEST = 7; // rem, of a text that is held up to somebody
const SMALLEST = 1.5;
const NEAR_PX = 40; // from the end of what was said
const ECHO_MS = 350; // that the room still sounds after the loudspeaker

apply();
await setUp("talk.title");
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const facts = await info();
const languages = ordered(facts.languages);
const usable = (/** @type {string[]} */ codes, /** @type {string} */ not = "") => codes.find((code) => code !== not && languages.includes(code)) ?? "en";
let mine = usable([prefs.speaks, ...preferred(), "en"]);
let theirs = usable([prefs.other, "pt", "en", "es", ...languages], mine);
let each = false;
let automatic = false;
let started = false;
let name = "";
let soundedAt = -Infinity;
const opus = await opusWorks();

const room = new Room(wanted(), { message: take, status, voice: (voice) => playback.play(voice), speaker: true });
const pairs = new Served(room);
pairs.facts = facts;
const playback = new Playback({ progress: ({ waiting }) => waiting > 0.02 && (soundedAt = performance.now()) });
const speaking = new Speaking(room.connection, { level, ended: () => void lost(), interrupted, refused: () => void refused(), opened, closed });
const awake = new Awake();
/** @type {Half[]} */
let halves = [];
const invite = h("div", { id: "invite" });
let listener = "";

/** @type {History | null} while it is open */
let past = null;
room.captions.changed = () => {
  past?.update();
  for (const { roll, announcer } of halves) {
    roll.update();
    announcer.update();
  }
};
room.open();
app.dataset.ready = "yes";
setup();
setInterval(listen, 100);
Object.assign(window, { tsuyaku: { room, playback, speaking, text: (/** @type {string} */ code) => room.captions.text(code) } });

function wanted() {
  const both = each ? [mine] : [mine, theirs];
  return started ? { captions: both, voices: both, source: true, tentative: true, opus } : { captions: [], voices: [], source: false, tentative: false, opus };
}

function setup() {
  const start = button(t("talk.start"), () => void begin(start), { icon: "mic", class: "primary big", id: "start" });
  const other = languageSelect(t("talk.theirs"), languages, theirs, (code) => {
    theirs = code;
    remember({ other: code });
    tellPairs();
  }, { id: "theirs" });
  const nameField = h("label", { class: "field" }, h("span", null, t("talk.name")), h("input", { type: "text", maxlength: 40, autocomplete: "given-name", oninput: (/** @type {Event} */ event) => (name = /** @type {HTMLInputElement} */ (event.target).value.trim()) }));
  const joining = room.role === "speaker";
  each ||= joining;
  const show = () => {
    other.hidden = each;
    nameField.hidden = !each;
    invite.hidden = !each || joining;
    tellPairs();
  };
  fill(
    app,
    h("header", { class: "bar top" }, brand(), room.state, h("span", { class: "spring" }), button(t("display"), () => openDisplay(), { icon: "text", quiet: true })),
    room.notices,
    h(
      "section",
      { class: "card narrow" },
      h("h1", null, t(joining ? "talk.join" : "talk.title")),
      joining ? null : choice("", [["one", t("talk.one")], ["each", t("talk.each")]], each ? "each" : "one", (value) => {
        each = value === "each";
        show();
      }),
      languageSelect(t("talk.mine"), languages, mine, (code) => {
        mine = code;
        remember({ speaks: code });
        tellPairs();
      }, { id: "mine" }),
      other,
      nameField,
      start,
      invite,
    ),
  );
  show();
  start.disabled = room.connection.status.phase === "over"; // nobody would hear it
  const blocked = obstacle();
  if (blocked) complain(blocked);
}

/** Two people should know before they begin, and a phone each as soon as the other speaks, what does not reach whom. */
function tellPairs() {
  const heard = each ? spoken(room.captions).map((from) => /** @type {[string, string]} */ ([from, mine])) : [];
  pairs.tell(each ? heard : [[mine, theirs], [theirs, mine]], started);
}

/** @param {HTMLButtonElement} start */
async function begin(start) {
  if (!each && mine === theirs) theirs = usable(languages, mine);
  start.disabled = true;
  try {
    await playback.start();
    await speaking.start({ kind: "microphone", device: "" });
  } catch (error) {
    start.disabled = false;
    return complain(error instanceof CaptureError ? error : new CaptureError("capture-failed"));
  }
  room.untell("capture");
  started = true;
  tellPairs();
  void awake.hold();
  room.connection.want(wanted());
  halves = each ? [await half(mine, "mine")] : [await half(theirs, "theirs"), await half(mine, "mine")];
  if (each) speaking.open("mine", { language: mine, name });
  fill(app, h("h1", { class: "hidden" }, t("talk.title")), h("div", { class: each ? "talk single" : "talk" }, halves.length > 1 ? [halves[0]?.element ?? null, middle(), halves[1]?.element ?? null] : [middle(), halves[0]?.element ?? null]));
  for (const { roll, code } of halves) roll.show(code);
}

/**
 * One person's side, in their own language throughout.
 * @param {string} code
 * @param {string} which
 * @returns {Promise<Half>}
 */
async function half(code, which) {
  const words = await dictionary(code);
  const roll = new Roll(room.captions);
  const press = button(said(words, "talk.hold"), () => toggleTalk(made), { icon: "mic", class: "primary talk-button", id: `talk-${which}`, pressed: false });
  const hint = h("p", { class: "hint" }, said(words, "talk.here"));
  const announcer = new Announcer(room.captions);
  announcer.show(code);
  const element = h(
    "section",
    { class: `half ${which}`, lang: code, dir: direction(code), "aria-label": nativeName(code) },
    h("div", { class: "lines" }, hint, roll.element),
    announcer.element,
    h(
      "div",
      { class: "row spread" },
      button(said(words, "talk.repeat"), () => playback.repeat(code), { icon: "repeat", class: "stacked" }),
      press,
      button(said(words, "talk.large"), () => large(code, which), { icon: "large", class: "stacked" }),
    ),
  );
  /** @type {Half} */
  const made = { code, which, element, roll, announcer, button: press, hint, words };
  return made;
}

function middle() {
  const candidates = [mine, theirs];
  return h(
    "div",
    { class: "bar middle" },
    each ? button(t("speak.invite"), () => sheet(t("speak.invite"), t("close"), invite), { icon: "people", quiet: true }) : toggle(t("talk.auto"), automatic, (on) => {
      automatic = on;
      speaking.active = "";
      playback.hold(false);
      if (on && !speaking.channels.has("auto")) speaking.open("auto", { language: "auto", candidates });
      draw();
    }, "automatic"),
    room.state,
    room.notices,
    h("span", { class: "spring" }),
    button(t("talk.phrases"), phrases, { icon: "list", quiet: true, id: "phrases" }),
    button(t("talk.end"), () => void end(), { icon: "close", quiet: true, id: "end" }),
  );
}

/** @param {Half} half */
function toggleTalk(half) {
  if (automatic) {
    automatic = false;
    const box = /** @type {HTMLInputElement | null} */ (document.getElementById("automatic"));
    if (box) box.checked = false;
  }
  if (speaking.active === half.which) {
    speaking.active = "";
    playback.hold(false);
  } else {
    playback.hold(true); // the microphone would hear it
    playback.clear(); // who begins to speak is not talked over
    soundedAt = -Infinity;
    if (!speaking.channels.has(half.which)) speaking.open(half.which, { language: half.code, name });
    speaking.active = half.which;
  }
  draw();
}

/** The microphone hears nothing while the loudspeaker speaks; with a button it is the loudspeaker that waits. */
function listen() {
  if (!started || !automatic) return;
  const active = sounding() ? "" : "auto";
  if (active === speaking.active) return;
  speaking.active = active;
  draw();
}

const sounding = () => playback.waiting > 0.02 || performance.now() - soundedAt < ECHO_MS;

function draw() {
  for (const { which, button: press, hint, words } of halves) {
    const on = speaking.active === which;
    press.setAttribute("aria-pressed", String(on));
    press.classList.toggle("on", on || (automatic && speaking.active === "auto"));
    const label = press.querySelector("span");
    if (label) label.textContent = said(words, on ? "talk.listening" : automatic ? "talk.auto" : "talk.hold");
    hint.textContent = said(words, automatic ? (speaking.active ? "talk.auto-here" : "talk.speaking") : "talk.here");
    hint.hidden = room.captions.segments.length > 0 && !(automatic && !speaking.active);
  }
}

/** @param {number} rms */
function level(rms) {
  const shown = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(rms, 1e-4)) / 3));
  for (const { which, button: press } of halves) press.style.setProperty("--level", speaking.active === which || speaking.active === "auto" ? String(shown) : "0");
}

/**
 * What was last said, for the other person to read from afar.
 * @param {string} code
 * @param {string} which
 */
function large(code, which) {
  const reader = halves.find((half) => half.which !== which) ?? halves[0];
  const words = reader?.words;
  if (!words) return;
  const shown = reader?.code ?? code;
  const last = new Paragraphs(room.captions, shown).all().slice(-2).flat();
  const text = joined(last.map((segment) => segment.texts.get(shown)?.text ?? ""), shown);
  const dialog = sheet(said(words, "talk.large"), said(words, "close"), h("p", { class: "poster", lang: shown, dir: direction(shown) }, text || "…"));
  dialog.classList.add("full");
  dialog.classList.toggle("turned", !each && which === "mine");
  const poster = /** @type {HTMLElement} */ (dialog.querySelector(".poster"));
  for (let size = LARGEST; size > SMALLEST; size *= 0.92) {
    poster.style.fontSize = `${size}rem`;
    if (dialog.scrollHeight <= dialog.clientHeight && poster.scrollWidth <= poster.clientWidth) break;
  }
}

function phrases() {
  const history = new History(room.captions, { source: () => true, beside: each ? "" : theirs });
  past = history;
  const save = button(t("save"), () => openSave(room, mine), { icon: "save" });
  const dialog = sheet(t("talk.phrases"), t("close"), h("div", { class: "phrases", tabindex: "0", role: "region", "aria-label": t("talk.phrases"), onscroll }, history.element), save);
  dialog.addEventListener("close", () => (past = null));
  history.show(mine);

  /** What is being read stays where it is; the end is followed where it is seen. @param {Event} event */
  function onscroll({ target }) {
    const box = /** @type {HTMLElement} */ (target);
    history.follow = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_PX;
  }
}

async function stop() {
  started = automatic = false;
  speaking.active = "";
  halves = [];
  playback.hold(false);
  playback.stop();
  awake.release();
  await speaking.stop();
}

async function end() {
  await stop();
  room.connection.send({ type: "close" });
  location.href = "./";
}

/** @param {import("../protocol.js").ServerMessage} message */
function take(message) {
  speaking.take(message);
  if (message.type === "links") {
    if (listener === message.speaker) return;
    if (listener) room.tell("links", "speak.new-speaker-link.done", { passing: true });
    listener = message.speaker;
    const replace = button(t("talk.new-link"), () => room.connection.send({ type: "rotate", role: "speaker" }), { icon: "repeat", id: "new-link" });
    fill(invite, invitation(shared(facts.address, "talk", message.speaker), t("talk.invite")), h("details", null, h("summary", null, t("more")), h("div", { class: "stack" }, replace, h("p", { class: "quiet" }, t("speak.new-speaker-link.note")))));
  }
  if (message.type === "welcome" && message.role === "listener") room.tell("role", "error.role", { danger: true, home: true });
  else if (message.type === "welcome" && message.role === "speaker" && !started) setup();
  if (message.type === "ended") room.untell("closed");
  if (message.type === "caption") draw();
  if (message.type === "opened" || message.type === "closed" || message.type === "words") tellPairs();
}

async function status() {
  const { phase } = room.connection.status;
  if (phase === "lost") speaking.disconnected();
  if (phase !== "over") return;
  await stop(); // nobody will take what is said
  setup();
}

/** The server takes what is said. */
function opened() {
  room.untell("refused");
  room.untell("closed");
}

/** The server takes nothing of what is said. */
async function refused() {
  await stop();
  setup();
}

/**
 * The server has ended a channel. One that nobody speaks into now is opened again by its button.
 * @param {string} which
 * @param {string} code
 */
function closed(which, code) {
  if (speaking.channels.size && which !== speaking.active && !(automatic && which === "auto")) return;
  room.untell("engine"); // nothing goes on here
  room.tell("closed", "speak.closed", { danger: true, detail: code === "end" ? "" : code });
  void refused();
}

/** The microphone has gone: back to where one is chosen. */
async function lost() {
  await stop();
  setup();
  complain(new CaptureError("mic-lost"));
}

/** @param {boolean} now */
function interrupted(now) {
  if (now) room.tell("interrupted", "error.mic-interrupted", { danger: true });
  else room.untell("interrupted");
}

/** @param {CaptureError} error */
function complain(error) {
  room.tell("capture", /** @type {Key} */ (`error.${error.code}`), { danger: true });
}
