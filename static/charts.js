// Draws what `{% chart %}` marks: a Vega-Lite specification over rows of the API, in the colours of the page.
(function () {
  "use strict";

  function token(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function colours(width) {
    const ink = token("--ink-soft"), rule = token("--rule");
    const axis = { labelColor: ink, titleColor: ink, gridColor: rule, domainColor: token("--rule-strong"), tickColor: rule,
      labelLimit: Math.max(120, width / 4), labelFont: token("--sans"), titleFont: token("--sans"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: 600 };
    return { background: null, font: token("--sans"), view: { stroke: null }, axis: axis,
      legend: { columns: width < 480 ? 1 : width < 800 ? 2 : 4, labelColor: ink, titleColor: ink, labelFontSize: 12, symbolStrokeWidth: 1.6 },
      header: { labelColor: ink, titleColor: ink } };
  }

  // "var(--good)" in a specification is the token of the page.
  function resolved(value) {
    if (typeof value === "string") {
      const found = /^var\((--[\w-]+)\)$/.exec(value);
      return found ? token(found[1]) : value;
    }
    if (Array.isArray(value)) return value.map(resolved);
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolved(v)]));
    return value;
  }

  // Vega's own tooltip sets a style attribute, which the content policy refuses.
  function tooltip(box) {
    const tip = document.createElement("div");
    tip.className = "chart-tip";
    tip.hidden = true;
    box.append(tip);
    return function (handler, event, item, value) {
      tip.hidden = value === null || value === undefined;
      if (tip.hidden) return;
      tip.replaceChildren(...Object.entries(value).map(([name, text]) => {
        const line = document.createElement("div"), label = document.createElement("span");
        label.className = "quiet";
        label.textContent = name + " ";
        line.append(label, String(text));
        return line;
      }));
      const frame = box.getBoundingClientRect();
      tip.style.left = Math.min(event.clientX - frame.left + 12, frame.width - tip.offsetWidth) + "px";
      tip.style.top = event.clientY - frame.top + 14 + "px";
    };
  }

  async function read(address) {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(address + ": " + answer.status);
    return answer.json();
  }

  async function draw(figure) {
    const place = figure.querySelector(".chart-place");
    const [spec, rows] = await Promise.all([read(figure.dataset.spec), read(figure.dataset.rows)]);
    const show = tooltip(figure);
    let view = null;
    async function render() {
      if (view) view.finalize();
      const whole = Object.assign(resolved(spec), { data: { values: rows.rows }, width: "container", height: "container",
        autosize: { type: "fit", contains: "padding" } });
      const result = await window.vegaEmbed(place, whole, { actions: false, ast: true, renderer: "canvas", defaultStyle: false,
        config: colours(place.clientWidth), tooltip: show });
      view = result.view;
      const canvas = place.querySelector("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", figure.dataset.title);
      figure.dataset.drawn = "yes";
    }
    await render();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", render);
  }

  function start() {
    for (const figure of document.querySelectorAll("figure[data-spec]")) {
      draw(figure).catch(function () { figure.dataset.drawn = "no"; });
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
