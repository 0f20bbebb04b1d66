// Captions first; the voice, the text so far and the colours are one tap away.

import { info } from "../api.js";
import { Announcer } from "../announcer.js";
import { button, fill, h, relabel, sheet, toggle } from "../dom.js";
import { History } from "../history.js";
import { hours, setUp, seconds, t } from "../i18n/index.js";
import { nativeName, ordered, preferred } from "../languages.js";
import { LatencyPanel } from "../latency.js";
import { BEHIND_S, Playback } from "../playback.js";
import { apply, prefs, remember } from "../prefs.js";
import { opusWorks } from "../opus.js";
import { Original } from "../original.js";
import { fragment, Room } from "../room.js";
import { Roll } from "../roll.js";
import { Served, spoken } from "../served.js";
import { Awake, brand, languageRow, openDisplay, openSave } from "../settings.js";

apply();
await setUp("listen.title");
const app = /** @type {HTMLElement} */ (document.getElementById("app"));

const asked = fragment().options.get("lang") ?? "";
let language = asked || prefs.reads || preferred()[0] || "en";
let withVoice = false;
let withSource = true;
const opus = await opusWorks();

const room = new Room(wanted(), {
  message: take,
  save: () => openSave(room, language),
  status: () => update(),
  voice: (voice) => {
    const key = `${voice.channel}/${voice.segment}/${voice.language}`;
    if (!arrivals.has(key)) arrivals.set(key, performance.now());
    if (arrivals.size > 100) arrivals.delete([...arrivals.keys()][0] ?? "");
    void playback.play(voice);
  },
});
const pairs = new Served(room);
void info().then((facts) => {
  pairs.facts = facts;
  tellPairs();
});
/** @type {Map<string, number>} when the first of a clause's speech arrived */
const arrivals = new Map();
const panel = new LatencyPanel();
const roll = new Roll(room.captions, { painted: (arrived) => room.delay.painted(arrived), moved: () => history.update() });
const history = new History(room.captions, { source: () => withSource });
const announcer = new Announcer(room.captions);
history.until = () => roll.firstWhole;
const playback = new Playback({ begun: heard, progress: behind });
playback.setVolume(prefs.volume);
const awake = new Awake();
const original = new Original();

const hint = h("p", { class: "hint" }, t("waiting.speaker"));
const catching = h("p", { class: "catching", role: "status" });
const voiceDelay = h("p", { class: "voice-delay", id: "voice-delay" });
const voiceButton = button(t("voice.on"), () => void switchVoice(), { icon: "sound", class: "primary", id: "voice", pressed: false });
const volume = h("input", {
  type: "range",
  min: 0,
  max: 1,
  step: 0.05,
  value: prefs.volume,
  "aria-label": t("voice.volume"),
  title: t("voice.volume"),
  oninput: () => {
    remember({ volume: Number(volume.value) });
    playback.setVolume(prefs.volume);
  },
});
volume.hidden = true;
const newest = button(t("listen.newest"), () => toEnd(), { icon: "close", class: "newest" });
newest.hidden = true;
const past = h("div", { class: "past", tabindex: "0", role: "region", "aria-label": t("listen.history"), onscroll: scrolled }, history.element);
const chips = h("div", { class: "chips-box" });

fill(
  app,
  h(
    "header",
    { class: "bar top" },
    brand(),
    h("h1", { class: "hidden" }, t("listen.title")),
    room.state,
    h("span", { class: "spring" }),
    button(t("display"), () => openDisplay(redraw), { icon: "text", quiet: true, id: "display" }),
    button(t("save"), () => openSave(room, language), { icon: "save", quiet: true, id: "save" }),
    button(t("more"), openMore, { icon: "more", quiet: true, id: "more" }),
  ),
  room.notices,
  h("div", { class: "stage" }, past, newest, h("div", { class: "lines" }, hint, roll.element), announcer.element),
  h("footer", { class: "bar bottom" }, chips, h("div", { class: "voice" }, voiceButton, volume), voiceDelay, catching),
);
room.captions.changed = (/** @type {import("../captions.js").Segment | null} */ segment) => update(segment !== null);
history.show(language);
announcer.show(language);
roll.show(language);
room.open();
app.dataset.ready = "yes";
void awake.hold();
setInterval(tellVoiceDelay, 500);
Object.assign(window, { tsuyaku: { room, playback, original, roll, panel, text: () => room.captions.text(language) } });

function wanted() {
  return { captions: [language], voices: withVoice ? [language] : [], source: true, tentative: true, opus };
}

/** @param {boolean} [committed] */
function update(committed = false) {
  roll.update(committed);
  history.update();
  announcer.update();
  const speaking = room.captions.segments.length > 0 || room.captions.tails.size > 0;
  hint.hidden = speaking || room.captions.ended !== "" || room.connection.status.phase === "over";
  hint.textContent = room.captions.channels.size ? t("waiting.words") : t("waiting.speaker");
}

/** @param {import("../protocol.js").ServerMessage} message */
function take(message) {
  if (message.type === "welcome") choose(message.languages);
  else if (message.type === "lag") panel.add(message, room.connection.oneWay);
  else if (message.type === "opened" && room.demo && room.isLive(message)) original.play(new URL("api/sample.wav", document.baseURI));
  else if (message.type === "ended") over();
  if (message.type === "opened" || message.type === "closed" || message.type === "words") tellPairs();
}

/** Who reads should know why captions may wait, or do not come. */
function tellPairs() {
  pairs.tell(spoken(room.captions).map((from) => [from, language]));
}

/** No other language can be had now, and nothing will be spoken. */
function over() {
  original.stop();
  chips.hidden = true;
  if (!withVoice) voiceButton.hidden = true;
}

/** @param {string[]} available */
function choose(available) {
  if (!available.includes(language)) {
    const fallback = preferred().find((code) => available.includes(code)) ?? available[0];
    if (fallback) {
      room.tell("language", "listen.not-offered", { values: { wanted: nativeName(language), shown: nativeName(fallback) } });
      change(fallback, false);
    }
  }
  const codes = ordered(available);
  const first = [language, ...codes.filter((code) => code !== language)];
  if (!chips.childElementCount) fill(chips, languageRow(t("listen.languages"), first, language, change));
}

/**
 * @param {string} code
 * @param {boolean} [chosen] by the person
 */
function change(code, chosen = true) {
  language = code;
  if (chosen) {
    remember({ reads: code });
    room.untell("language");
  }
  document.title = `${nativeName(code)} · Tsuyaku`;
  playback.clear();
  room.connection.want(wanted());
  tellPairs();
  history.show(code);
  announcer.show(code);
  roll.show(code);
  update();
}

async function switchVoice() {
  withVoice = !withVoice;
  try {
    if (withVoice) await playback.start();
    else playback.stop();
  } catch {
    withVoice = false;
    room.tell("voice", "error.worklet");
  }
  voiceButton.setAttribute("aria-pressed", String(withVoice));
  relabel(voiceButton, withVoice ? "silent" : "sound", t(withVoice ? "voice.off" : "voice.on"));
  volume.hidden = !withVoice;
  catching.textContent = withVoice ? t("voice.earphones") : "";
  room.connection.want(wanted());
}

/**
 * @param {string} key
 * @param {number} sourceEnd
 */
function heard(key, sourceEnd) {
  room.delay.sounding(Number.parseInt(key, 10), sourceEnd, room.connection.oneWay + playback.deviceMs);
  const arrived = arrivals.get(key);
  if (arrived !== undefined) panel.played(key, performance.now() - arrived + playback.deviceMs);
  if (catching.textContent === t("voice.earphones")) catching.textContent = "";
}

/** @param {import("../playback.js").Progress} progress */
function behind({ waiting, skipped }) {
  original.duck(withVoice && waiting > 0.02);
  const late = waiting > BEHIND_S ? t("voice.catching-up", { s: seconds(waiting * 1000) }) : "";
  const text = late || (skipped ? t("voice.skipped", { n: skipped }) : "");
  if (text !== catching.textContent && (text || waiting > 0)) catching.textContent = text;
}

function tellVoiceDelay() {
  const { voice } = room.delay;
  const text = withVoice && voice !== null && !room.captions.ended ? t("behind.voice", { s: seconds(voice) }) : "";
  if (voiceDelay.textContent !== text) voiceDelay.textContent = text;
}

function redraw() {
  history.show(language);
  roll.show(language);
}

/** History stays where it is being read, and follows where its end is seen. */
function scrolled() {
  newest.hidden = past.scrollHeight - past.scrollTop - past.clientHeight < 40;
  history.follow = newest.hidden;
}

function toEnd() {
  past.scrollTop = past.scrollHeight;
}

function openMore() {
  sheet(
    t("more"),
    t("close"),
    toggle(t("display.source"), withSource, (on) => {
      withSource = on;
      history.show(language);
    }),
    h("p", { class: "quiet", id: "kept" }, room.keep ? t("kept.hours", { h: hours(room.keep) }) : t("kept")),
    h("h3", null, t("latency")),
    h("p", { class: "quiet" }, t("latency.note")),
    panel.element,
  );
}
