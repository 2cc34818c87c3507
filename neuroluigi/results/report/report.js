"use strict";

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Filter: all that belongs to a group is shown where the words are somewhere in what the page says of that group.

const filter = document.getElementById("filter"), shown = document.getElementById("shown");
let texts, waiting;

function applyFilter() {
  waiting = 0;
  const parts = all("[data-g]");
  if (!texts) {
    texts = new Map();
    for (const one of parts) {
      texts.set(one.dataset.g, `${texts.get(one.dataset.g) ?? one.dataset.g.toLowerCase()} ${one.textContent.toLowerCase()}`);
    }
  }
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = new Set();
  for (const [group, text] of texts) {
    if (words.every((word) => text.includes(word))) kept.add(group);
  }
  for (const one of parts) one.hidden = !kept.has(one.dataset.g);
  shown.textContent = words.length ? `${kept.size} of ${texts.size}` : "";
}

filter.addEventListener("input", () => { waiting ||= requestAnimationFrame(applyFilter); });
filter.form.addEventListener("submit", (event) => event.preventDefault());

// Sort: numbers, then texts, then blank cells; the second click turns round.

const compareTexts = new Intl.Collator(undefined, { numeric: true }).compare;

function compare(one, other) {
  const a = Number(one), b = Number(other);
  if (isNaN(a) !== isNaN(b)) return isNaN(a) ? 1 : -1;
  return isNaN(a) ? compareTexts(one, other) : a - b;
}

function sortBy(head) {
  const sign = head.ariaSort === "ascending" ? -1 : 1, body = head.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => [row.cells[head.cellIndex]?.textContent.trim() ?? "", row]);
  rows.sort(([one], [other]) => (one === "") - (other === "") || sign * compare(one, other));
  for (const other of head.parentElement.cells) other.ariaSort = "none";
  head.ariaSort = sign > 0 ? "ascending" : "descending";
  body.append(...rows.map(([, row]) => row));
}

for (const button of all(".sortable th button")) button.addEventListener("click", () => sortBy(button.parentElement));

// What is known of each result, unpacked when it is asked for the first time.

let unpacked;

function details() {
  unpacked ??= (async () => {
    const bytes = Uint8Array.from(atob(document.getElementById("details").textContent), (one) => one.charCodeAt(0));
    const json = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
    const found = JSON.parse(json);
    return { ...found, text: (numbers) => numbers.map((n) => found.lines[n]).join("\n") };
  })();
  return unpacked;
}

const dialog = document.getElementById("result");

async function showResults(numbers) {
  const { results, text } = await details(), asked = numbers.map((n) => results[n]);
  const records = asked.map((one) => text(one.record)).filter(Boolean);
  const texts = asked.map((one) => text(one.lines)), [name, ...rest] = texts[0].split("\n");
  document.getElementById("result-name").textContent = asked.length > 1 ? `${asked.length} results` : name;
  dialog.querySelector(".lines").textContent = asked.length > 1 ? texts.join("\n\n") : rest.join("\n");
  dialog.querySelector(".record").textContent = records.join("\n\n");
  dialog.querySelector("details").hidden = !records.length;
  dialog.showModal();
}

// A browser that can't unpack follows the link to the run record.
if (window.DecompressionStream) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-n]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      showResults(link.dataset.n.split(",").map(Number));
    }
    if (event.target === dialog) dialog.close();
  });
}

const checksums = document.getElementById("checksums");

checksums?.addEventListener("toggle", async () => {
  const { roots, results, text } = await details();
  const records = results.map((one) => text(one.record)).filter(Boolean);
  const files = records.flatMap((one) => JSON.parse(one).outputs);
  checksums.querySelector("pre").textContent = files.map((one) => `${one.sha256}  ${roots[one.root] ?? ""}${one.path}`).join("\n");
}, { once: true });

for (const button of all("button.copy")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = "Copied";
  });
}
