// For the curious: one bar a clause, a colour a stage.

import { fill, h } from "./dom.js";
import { seconds, t } from "./i18n/index.js";

const KEPT = 14;
/** @type {("capture" | "recognise" | "translate" | "speak" | "network" | "play" | "other")[]} */
const STAGES = ["capture", "recognise", "translate", "speak", "network", "play", "other"];

/** @typedef {{key: string, stages: Record<string, number>, misses: string[]}} Bar */

export class LatencyPanel {
  constructor() {
    /** @type {Bar[]} */
    this.bars = [];
    /** @type {Map<string, number>} ms that the speech of a clause waited here; it may sound before its bar is known */
    this._played = new Map();
    this.element = h("div", { class: "latency" });
    this.draw();
  }

  /**
   * @param {import("./protocol.js").Lag} lag
   * @param {number} network ms
   */
  add(lag, network) {
    /** @type {Record<string, number>} */
    const stages = { network };
    for (const [name, ms] of Object.entries(lag.stages)) {
      const known = STAGES.find((stage) => stage === name) ?? "other";
      stages[known] = (stages[known] ?? 0) + ms;
    }
    const key = `${lag.channel}/${lag.segment}/${lag.language}`;
    const play = this._played.get(key);
    if (play !== undefined) stages.play = play;
    this.bars = [...this.bars.filter((bar) => bar.key !== key), { key, stages, misses: lag.misses ?? [] }].slice(-KEPT);
    this.draw();
  }

  /**
   * How long a clause's speech waited here before it sounded, from its first frame on.
   * @param {string} key
   * @param {number} ms
   */
  played(key, ms) {
    this._played.set(key, ms);
    for (const old of [...this._played.keys()].slice(0, -4 * KEPT)) this._played.delete(old);
    const bar = this.bars.find((candidate) => candidate.key === key);
    if (!bar) return;
    bar.stages.play = ms;
    this.draw();
  }

  draw() {
    if (!this.bars.length) return fill(this.element, h("p", { class: "quiet" }, t("latency.none")));
    const longest = Math.max(2000, ...this.bars.map(total));
    fill(
      this.element,
      h("ul", { class: "legend" }, STAGES.map((stage) => h("li", { data: { stage } }, t(`stage.${stage}`)))),
      h("ol", { class: "bars" }, [...this.bars].reverse().map((bar) => row(bar, longest))),
    );
  }
}

/** @param {Bar} bar */
const total = (bar) => Object.values(bar.stages).reduce((sum, ms) => sum + Math.max(0, ms), 0);

/**
 * @param {Bar} bar
 * @param {number} longest ms
 */
function row(bar, longest) {
  const parts = STAGES.filter((stage) => (bar.stages[stage] ?? 0) > 0).map((stage) => {
    const part = h("span", { data: { stage }, title: `${t(`stage.${stage}`)} ${seconds(bar.stages[stage] ?? 0)} s` });
    part.style.width = `${(100 * (bar.stages[stage] ?? 0)) / longest}%`;
    return part;
  });
  const late = bar.misses.map((name) => t(`stage.${STAGES.find((stage) => stage === name) ?? "other"}`)).join(", ");
  return h(
    "li",
    { class: late ? "missed" : "" },
    h("span", { class: "bar-track", "aria-hidden": "true" }, parts),
    h("span", { class: "bar-total" }, `${seconds(total(bar))} s`, late ? h("strong", null, ` ${t("latency.miss", { stages: late })}`) : null),
  );
}
