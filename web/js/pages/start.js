// The first page: what it is, and three ways to begin.

import { ApiError, createDemo, createRoom, info } from "../api.js";
import { button, fill, h, select } from "../dom.js";
import { hours, INTERFACES, interfaceLanguage, setUp, t } from "../i18n/index.js";
import { nativeName, ordered, preferred } from "../languages.js";
import { apply, prefs, remember } from "../prefs.js";
import { link } from "../room.js";
import { brand, languageSelect, mark } from "../settings.js";

apply();
await setUp();
const app = /** @type {HTMLElement} */ (document.getElementById("app"));
const facts = await info();
const languages = ordered(facts.languages);
/** @type {{code: string, keep_s: number, briefing: {glossary: string, format: string, context: string}}} */
const asked = { code: "", keep_s: 0, briefing: { glossary: "", format: "toml", context: "" } };
const LONGEST_WAIT = 6; // times what the server asks for
let wish = 0; // the newest of this person: an older one is given up
let shown = ""; // the language of the demonstration; what a person reads is theirs to say
draw();
app.dataset.ready = "yes";
addEventListener("pageshow", (event) => event.persisted && draw()); // who comes back wishes for nothing yet

function draw() {
  wish += 1;
  const notice = h("div", { class: "notices", role: "status" });
  const spoken = facts.demo?.language ?? "en";
  const targets = languages.filter((code) => code !== spoken);
  shown = [shown, prefs.reads, ...preferred(), "pt"].find((code) => targets.includes(code)) ?? targets[0] ?? "";

  const demo = h(
    "section",
    { class: "card" },
    lead("demo", "play", t("start.demo"), t("start.demo.note"), () => begin(notice, demoLink)),
    languageSelect(t("start.i-read"), targets, shown, (code) => (shown = code), { id: "demo-language" }),
  );
  const speak = h(
    "section",
    { class: "card" },
    lead("speak", "mic", t("start.speak"), t("start.speak.note"), () => begin(notice, speakLink)),
    options(),
  );
  const talk = h("section", { class: "card" }, lead("talk", "swap", t("start.talk"), t("start.talk.note"), () => begin(notice, talkLink)));
  fill(
    app,
    h("header", { class: "hero" }, h("h1", null, brand()), h("p", { class: "claim" }, t("app.claim"))),
    notice,
    h("div", { class: "cards" }, speak, talk, facts.demo ? demo : null),
    h(
      "footer",
      { class: "foot" },
      h("p", { class: "quiet" }, t("app.private")),
      select(t("start.interface"), INTERFACES.map((code) => [code, nativeName(code)]), interfaceLanguage(), async (ui) => {
        remember({ ui });
        await setUp();
        draw();
      }),
    ),
  );
}

/**
 * @param {string} id
 * @param {Parameters<typeof mark>[0]} name
 * @param {string} title
 * @param {string} note
 * @param {() => void} action
 */
function lead(id, name, title, note, action) {
  const text = h("span", null, h("strong", null, title), h("span", null, note));
  return h("button", { type: "button", class: "lead", id, onclick: action }, mark(name), text);
}

async function demoLink() {
  const { listener } = await createDemo();
  return link("listen", listener, { lang: shown });
}

/** What a host may ask of a room; nothing is kept unless it is asked for here. */
function options() {
  const code = h("input", { type: "text", maxlength: 32, autocomplete: "off", oninput: () => (asked.code = code.value.trim()) });
  const keep = select(
    t("start.keep"),
    [["0", t("start.keep.none")], ...[3600, 86400].map((s) => /** @type {[string, string]} */ ([String(s), hours(s)]))],
    String(asked.keep_s),
    (value) => (asked.keep_s = Number(value)),
  );
  const context = h("input", { type: "text", maxlength: 200, id: "occasion", oninput: () => (asked.briefing.context = context.value) });
  const terms = h("input", { type: "file", accept: ".toml,.csv,.tbx", id: "terms", onchange: () => readTerms(terms.files?.[0]) });
  return h("details", null, h("summary", null, t("start.options")), field("start.code", code), keep, field("start.context", context), field("start.terms", terms));
}

/** @param {Parameters<typeof t>[0]} title @param {HTMLElement} control */
function field(title, control) {
  return h("label", { class: "field" }, h("span", null, t(title)), control);
}

/** The server judges what is in it, when the room is made. @param {File} [file] */
async function readTerms(file) {
  asked.briefing.glossary = file ? await file.text() : "";
  asked.briefing.format = file?.name.split(".").pop()?.toLowerCase() ?? "toml";
}

async function speakLink() {
  const { host } = await createRoom(asked);
  return link("speak", host, asked.code ? { code: asked.code } : {});
}

async function talkLink() {
  const { host } = await createRoom();
  return link("talk", host);
}

/**
 * @param {HTMLElement} notice
 * @param {() => Promise<string>} make
 */
async function begin(notice, make) {
  wish += 1;
  const mine = wish;
  fill(notice, h("p", { class: "notice" }, t("start.creating")));
  for (let times = 1; mine === wish; times = Math.min(2 * times, LONGEST_WAIT)) {
    try {
      const made = await make();
      if (mine === wish) location.href = made;
      return;
    } catch (error) {
      if (mine !== wish) return;
      if (!(error instanceof ApiError && error.code === "busy")) {
        fill(notice, h("p", { class: "notice danger", role: "alert" }, t(why(error))));
        return;
      }
      if (times === 1) fill(notice, waiting(notice));
      await new Promise((resolve) => setTimeout(resolve, error.retryMs * times * (1 + Math.random() / 2)));
    }
  }
}

/** While a busy server is asked again. @param {HTMLElement} notice */
function waiting(notice) {
  const give = button(t("start.give-up"), () => {
    wish += 1;
    fill(notice);
  }, { id: "give-up" });
  return h("div", { class: "notice danger", role: "alert" }, h("p", null, t("error.busy")), give);
}

/** @param {unknown} error @returns {Parameters<typeof t>[0]} */
function why(error) {
  const code = error instanceof ApiError ? error.code : "";
  return code.startsWith("glossary-") || code === "malformed" || code === "too-large" ? "error.terms" : "error.server";
}
