// Words of an abstract and the claim that they became light up together. Without this, the links between them do.
(function () {
  "use strict";

  const places = new Map();
  for (const place of document.querySelectorAll("[data-claims]")) {
    for (const key of place.dataset.claims.split(" ")) places.set(key, (places.get(key) || []).concat(place));
  }

  function light(event) {
    const at = event.target instanceof Element && event.target.closest("[data-claims]");
    const lit = new Set(at ? at.dataset.claims.split(" ").flatMap(function (key) { return places.get(key) || []; }) : []);
    for (const place of document.querySelectorAll(".lit")) if (!lit.has(place)) place.classList.remove("lit");
    for (const place of lit) place.classList.add("lit");
  }

  document.addEventListener("pointerover", light);
  document.addEventListener("focusin", light);
})();
