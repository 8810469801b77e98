"use strict";
// Adds search, filter, sort and "hold to compare" to a page that is complete without them.
(() => {
  const main = document.getElementById("groups");
  const tools = document.getElementById("tools");
  const find = document.getElementById("find");
  const sort = document.getElementById("sort");
  const count = document.getElementById("count");
  const nothing = document.getElementById("nothing");
  const notes = [...main.querySelectorAll(":scope > .note:not(#nothing)")];
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];
  const groups = [...main.querySelectorAll(":scope > .group")].map((card, place) => {
    const paths = [...card.querySelectorAll(".path")].map((path) => path.textContent);
    return {
      card, place,
      text: paths.join("\n").toLowerCase(),
      path: paths[0] || "",
      kinds: card.dataset.kinds.split(" "),
      frees: Number(card.dataset.frees),
      files: Number(card.dataset.files),
      similarity: Number(card.dataset.similarity),
    };
  });
  if (groups.length === 0) return;

  const orders = {
    frees: (a, b) => a.place - b.place,
    files: (a, b) => b.files - a.files || a.place - b.place,
    similarity: (a, b) => a.similarity - b.similarity || a.place - b.place,
    path: (a, b) => a.path.localeCompare(b.path, undefined, { numeric: true }) || a.place - b.place,
  };

  const bytes = (size) => {
    const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    let unit = 0;
    while (size >= 999.5 && unit < units.length - 1) { size /= 1000; unit += 1; }
    return `${unit && size < 9.95 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
  };

  const show = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let shown = 0;
    let frees = 0;
    for (const group of groups) {
      const fits = group.kinds.some((kind) => kinds.has(kind)) && words.every((word) => group.text.includes(word));
      group.card.hidden = !fits;
      if (fits) { shown += 1; frees += group.frees; }
    }
    count.textContent = `${shown.toLocaleString("en")} of ${groups.length.toLocaleString("en")} groups, ${bytes(frees)}`;
    nothing.hidden = shown > 0;
    const whole = shown === groups.length && sort.value === "frees";
    for (const note of notes) note.hidden = !whole;
  };

  const arrange = () => {
    const ordered = [...groups].sort(orders[sort.value]);
    if (sort.value === "frees") {
      main.replaceChildren(...original);
    } else {
      main.prepend(...ordered.map((group) => group.card));
    }
    show();
  };
  const original = [...main.children];

  let waiting = 0;
  find.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(show, 120); });
  for (const box of boxes) box.addEventListener("change", show);
  sort.addEventListener("change", arrange);
  tools.addEventListener("submit", (event) => { event.preventDefault(); show(); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { event.preventDefault(); find.focus(); }
  });

  // Hold to compare: the kept picture appears in the copy's place, the quickest way for an eye to see a difference.
  for (const { card } of groups) {
    const kept = card.querySelector(".keep img");
    if (!kept) continue;
    for (const frame of card.querySelectorAll(".compare")) {
      const image = frame.querySelector("img");
      const own = image.src;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Hold to compare";
      const turn = (toKept) => { image.src = toKept ? kept.src : own; frame.classList.toggle("kept", toKept); };
      button.addEventListener("pointerdown", () => turn(true));
      for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(end, () => turn(false));
      button.addEventListener("keydown", (event) => { if (event.key === " " || event.key === "Enter") { event.preventDefault(); turn(true); } });
      button.addEventListener("keyup", () => turn(false));
      button.addEventListener("contextmenu", (event) => event.preventDefault());
      frame.append(button);
    }
  }

  tools.hidden = false;
  arrange();
})();
