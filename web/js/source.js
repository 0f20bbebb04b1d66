// Where the sound comes from: a microphone, and which one; a tab or the screen; a file.

import { askForMicrophones, CaptureError, microphones } from "./capture.js";
import { button, choice, fill, h, select } from "./dom.js";
import { t } from "./i18n/index.js";

export class SourcePicker {
  /**
   * @param {{picked: (device: string) => void, failed: (error: CaptureError) => void}} handlers `picked`: another
   * microphone was chosen, "" the usual one
   */
  constructor(handlers) {
    this._handlers = handlers;
    /** @type {"microphone" | "tab" | "file"} */
    this.kind = "microphone";
    this._device = "";
    /** @type {File | null} */
    this._file = null;
    /** the choice of a microphone, to be shown by itself while one is heard */
    this.devices = h("div", { class: "devices" });
    this._chooser = h("input", {
      type: "file",
      accept: "audio/*,video/*",
      id: "file",
      class: "file",
      "aria-label": t("speak.choose-file"),
      onchange: () => (this._file = this._chooser.files?.[0] ?? null),
    });
    /** @type {[string, string][]} */
    const kinds = [["microphone", t("speak.microphone")], ["file", t("speak.file")]];
    if ("getDisplayMedia" in (navigator.mediaDevices ?? {})) kinds.splice(1, 0, ["tab", t("speak.tab")]);
    const picked = choice(t("speak.source"), kinds, this.kind, (value) => {
      this.kind = /** @type {typeof this.kind} */ (value);
      this._show();
    });
    this.element = h("div", { class: "controls" }, picked, this.devices, this._chooser);
    navigator.mediaDevices?.addEventListener?.("devicechange", () => void this.refresh());
    this._show();
    void this.refresh();
  }

  /** What was picked; null where a file must be chosen first, which is then asked for. @returns {import("./capture.js").SourceChoice | null} */
  pick() {
    if (this.kind === "tab") return { kind: "tab" };
    if (this.kind === "microphone") return { kind: "microphone", device: this._device };
    if (this._file) return { kind: "file", file: this._file };
    this._chooser.click();
    return null;
  }

  /** Microphones have names only once one was granted, and come and go. */
  async refresh() {
    const { named, devices } = await microphones();
    if (!devices.some(({ deviceId }) => deviceId === this._device)) this._device = "";
    if (!named) return fill(this.devices, "mediaDevices" in navigator ? button(t("speak.device.find"), () => void this._find(), { icon: "mic", class: "wide", id: "find-devices" }) : null);
    if (devices.length < 2) return fill(this.devices);
    /** @type {[string, string][]} */
    const names = [["", t("speak.device.default")]];
    devices.forEach(({ deviceId, label }, i) => names.push([deviceId, label || `${t("speak.device")} ${i + 1}`]));
    fill(this.devices, select(t("speak.device"), names, this._device, (value) => this._choose(value), { id: "device" }));
  }

  /** @param {string} device */
  _choose(device) {
    this._device = device;
    this._handlers.picked(device);
  }

  /** What was chosen could not be had. @param {string} device that is still heard */
  keep(device) {
    this._device = device;
    void this.refresh();
  }

  async _find() {
    try {
      await askForMicrophones();
    } catch (error) {
      this._handlers.failed(error instanceof CaptureError ? error : new CaptureError("capture-failed"));
    }
    await this.refresh();
    this.devices.querySelector("select")?.focus();
  }

  _show() {
    this._chooser.hidden = this.kind !== "file";
    this.devices.hidden = this.kind !== "microphone";
  }
}
