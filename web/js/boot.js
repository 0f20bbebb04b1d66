// Runs before the modules: says so when the page itself cannot start. A classic script, so that it also runs in browsers
// that know no modules.
(function () {
  "use strict";
  var shown = false;
  /** @type {Record<string, [string, string, string]>} by language: what happened, a file that is missing, an old browser */
  var words = {
    en: ["This page could not start. Please reload it, or use a current Chrome, Firefox, Safari or Edge.", "A file of the page did not load.", "This browser is too old for the page."],
    pt: ["A página não pôde começar. Recarregue-a, ou use um Chrome, Firefox, Safari ou Edge atual.", "Um arquivo da página não carregou.", "Este navegador é antigo demais para a página."],
    ja: ["ページを開始できませんでした。再読み込みするか、最新のChrome、Firefox、Safari、Edgeをお使いください。", "ページのファイルを読み込めませんでした。", "このブラウザーは古すぎます。"],
  };
  var said = words[(navigator.language || "en").slice(0, 2)] || words.en;
  /** @param {string} detail */
  function fail(detail) {
    var main = document.getElementById("app");
    if (shown || !main || main.dataset.ready) return;
    shown = true;
    var box = document.createElement("div");
    box.className = "notice danger";
    box.setAttribute("role", "alert");
    var title = document.createElement("p");
    title.textContent = said[0];
    var reason = document.createElement("p");
    reason.className = "quiet";
    reason.textContent = detail;
    box.appendChild(title);
    box.appendChild(reason);
    main.appendChild(box);
  }
  window.addEventListener("error", function (event) {
    fail(event.message || said[1]);
  }, true);
  window.addEventListener("unhandledrejection", function (event) {
    fail(String(event.reason && event.reason.message ? event.reason.message : event.reason));
  });
  if (!("noModule" in HTMLScriptElement.prototype)) fail(said[2]);
})();
