// Runs before the modules: says so when the page itself cannot start. A classic script, so that it also runs in browsers
// that know no modules.
(function () {
  "use strict";
  var shown = false;
  /** @type {Record<string, string>} */
  var words = {
    en: "This page could not start. Please reload it, or use a current Chrome, Firefox, Safari or Edge.",
    pt: "Esta página não conseguiu iniciar. Recarregue-a, ou use um Chrome, Firefox, Safari ou Edge atual.",
    ja: "ページを開始できませんでした。再読み込みするか、新しい Chrome、Firefox、Safari、Edge をお使いください。",
  };
  var language = String(navigator.language || "en").slice(0, 2).toLowerCase();
  /** @param {string} detail */
  function fail(detail) {
    var main = document.getElementById("app");
    if (shown || !main || main.dataset.ready) return;
    shown = true;
    var box = document.createElement("div");
    box.className = "notice danger";
    box.setAttribute("role", "alert");
    var title = document.createElement("p");
    title.lang = words[language] ? language : "en";
    title.textContent = words[title.lang] || "";
    var reason = document.createElement("p");
    reason.className = "quiet";
    reason.textContent = detail;
    box.appendChild(title);
    box.appendChild(reason);
    main.appendChild(box);
  }
  window.addEventListener("error", function (event) {
    fail(event.message || "A file of the page did not load.");
  }, true);
  window.addEventListener("unhandledrejection", function (event) {
    fail(String(event.reason && event.reason.message ? event.reason.message : event.reason));
  });
  if (!("noModule" in HTMLScriptElement.prototype)) fail("This browser is too old for the page.");
})();
