
"use strict";
// The list of applications: searched, filtered and ordered as a whole, and made as rows a hundred at a time. Texts from
// the data go into the page as text nodes only, never as HTML.
(() => {
  const CHUNK = 100;
  const WORDS = {
    "PUT Accepted": "Deployment began",
    "PUT Succeeded": "Deployment succeeded",
    "PUT Failed": "Deployment failed",
    "PATCH Succeeded": "Updated",
    "DELETE Deleting": "Deletion began",
    "DELETE Failed": "Deletion failed",
    "DELETE Deleted": "Deleted",
  };
  const STATES = ["Accepted", "Succeeded", "Failed", "Failed (DELETE)", "Deleting", "Deleted"];
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const at = (id) => document.getElementById(id);

  const applications = JSON.parse(at("data").textContent);
  applications.forEach((each, number) => {
    each.number = number;
    each.plan = [each.p, each.l, each.v].filter(Boolean).join(" ");
    each.id = `/subscriptions/${each.u}/resourceGroups/${each.g}/providers/Microsoft.Solutions/applications/${each.n}`;
    each.text = folded([each.id, each.s, each.plan, each.c, each.b, each.d, each.stuck ? "stuck" : ""].join("\n"));
  });

  const COLUMNS = [
    { key: "name", title: "Application", value: (each) => each.n },
    { key: "state", title: "State", value: (each) => each.s },
    { key: "plan", title: "Plan", value: (each) => each.plan },
    { key: "latest", title: "Latest event", value: (each) => each.t, time: true },
    { key: "first", title: "First event", value: (each) => each.f, time: true },
    { key: "error", title: "Error", value: (each) => each.c || "" },
  ];
  let order = { column: COLUMNS[3], descending: true };
  const pressed = new Set();
  const open = new Set();
  let found = [];
  let shown = 0;

  function folded(text) {
    return text.normalize("NFKC").toLowerCase();
  }

  function make(name, content, attributes) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) element.setAttribute(key, value);
    element.append(...[content].flat().filter((each) => each !== null && each !== undefined));
    return element;
  }

  // A text of somebody else's, whose direction must not turn its neighbours around.
  function isolated(text, name = "bdi", attributes) {
    return make(name, text || "–", attributes);
  }

  // A code such as ResourceGroupDeletionBlocked may go on in the next line.
  function breakable(text) {
    return text.split(/(?<=[a-z])(?=[A-Z])/).flatMap((word, number) => (number ? [make("wbr"), word] : [word]));
  }

  function brief(codes) {
    return codes.length > 3 ? `${codes.slice(0, 2).join(", ")}, ${codes.length - 2} more` : codes.join(", ");
  }

  function short(id) {
    return id.length > 13 ? `${id.slice(0, 8)}…` : id;
  }

  function minute(time) {
    return time ? make("time", time.slice(0, 16), { datetime: `${time.replace(" ", "T")}Z` }) : "–";
  }

  function state(each) {
    return make("span", each.s || "unknown", { class: "state", "data-state": (each.s || "").split(" ")[0] });
  }

  function update() {
    const words = folded(at("search").value).split(/\s+/).map((word) => word.replace(/^\//, "")).filter(Boolean);
    found = applications.filter((each) =>
      (!pressed.size || pressed.has(each.s) || (each.stuck && pressed.has("Stuck"))) &&
      words.every((word) => each.text.includes(word)));
    const { column, descending } = order;
    const sign = descending ? -1 : 1;
    const compare = column.time
      ? (a, b) => (a < b ? -1 : a > b ? 1 : 0)
      : (a, b) => (a && b ? collator.compare(a, b) : sign * (!a - !b)); // what is empty comes last, in either order
    found.sort((a, b) => sign * compare(column.value(a), column.value(b)) || a.number - b.number);
    shown = 0;
    at("rows").replaceChildren();
    more();
    const all = applications.length.toLocaleString("en");
    at("found").textContent = found.length === applications.length
      ? `${all} application${applications.length === 1 ? "" : "s"}`
      : `${found.length.toLocaleString("en")} of ${all} applications`;
  }

  function more() {
    const piece = document.createDocumentFragment();
    const next = found.slice(shown, shown + CHUNK);
    for (const each of next) {
      piece.append(row(each));
      if (open.has(each.number)) piece.append(detail(each));
    }
    at("rows").append(piece);
    shown += next.length;
    const rest = found.length - shown;
    at("more").hidden = rest === 0;
    at("more").textContent = `Show ${Math.min(rest, CHUNK).toLocaleString("en")} more of ${rest.toLocaleString("en")}`;
  }

  function row(each) {
    const expanded = open.has(each.number);
    const toggle = isolated(each.n, "button", { type: "button", class: "toggle", dir: "auto", "aria-expanded": expanded });
    if (expanded) toggle.setAttribute("aria-controls", `detail-${each.number}`);
    const cells = {
      name: make("th", [toggle, make("small", [isolated(each.g), " in ", isolated(short(each.u))])], { scope: "row" }),
      state: make("td", [state(each), make("small", minute(each.t), { class: "brief" }), each.stuck ? make("small", `for ${each.stuck}: stuck`, { class: "late" }) : null]),
      plan: make("td", [isolated(each.l || each.v ? [each.l, each.v].filter(Boolean).join(" ") : ""), each.p ? make("small", isolated(each.p)) : null]),
      latest: make("td", minute(each.t)),
      first: make("td", minute(each.f)),
      error: make("td", each.c ? make("bdi", breakable(brief(each.c.split(", ")))) : "–"),
    };
    for (const { key } of COLUMNS) cells[key].classList.add(`column-${key}`);
    const element = make("tr", COLUMNS.map(({ key }) => cells[key]), { class: expanded ? "application open" : "application" });
    toggle.addEventListener("click", () => {
      const opening = !open.delete(each.number);
      toggle.setAttribute("aria-expanded", opening);
      element.classList.toggle("open", opening);
      if (opening) {
        open.add(each.number);
        toggle.setAttribute("aria-controls", `detail-${each.number}`);
        element.after(detail(each));
      } else {
        toggle.removeAttribute("aria-controls");
        element.nextElementSibling.remove();
      }
    });
    return element;
  }

  // A narrow window does without some columns, and a cell across more than there are would make new ones.
  function visible() {
    return COLUMNS.filter(({ key }) => at(`heading-${key}`).offsetParent).length;
  }

  function detail(each) {
    const facts = [
      ["Resource ID", make("code", isolated(each.id))],
      ["Plan", each.plan && isolated([each.w, each.p, each.l, each.v].filter(Boolean).join(" / "))],
      ["Usage ID", each.b && make("code", isolated(each.b))],
      ["Definition", each.d && make("code", isolated(each.d))],
      ["First event", each.f],
      ["Latest event", each.t],
    ].filter(([, value]) => value);
    const content = [make("dl", facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]), { class: "facts" })];
    if (each.e) content.push(causes(each.e));
    if (each.z) content.push(make("p", `${each.z} earlier notifications are left out: managedapps show has them all.`));
    content.push(each.y.length
      ? make("ol", each.y.map(step), { class: "life", "aria-label": "Life cycle" })
      : make("p", "The inbox holds no notification of it."));
    return make("tr", make("td", content, { colspan: visible() }), { class: "detail", id: `detail-${each.number}` });
  }

  function step([time, kind, remark, error]) {
    return make("li", [
      make("time", time, { datetime: `${time.replace(" ", "T")}Z` }),
      " ",
      make("strong", WORDS[kind] || kind),
      remark ? make("span", ` ${remark}`, { class: "remark" }) : null,
      " ",
      make("small", make("code", kind)),
      error ? causes(error) : null,
    ], { "data-state": kind.split(" ")[1] });
  }

  // An error, and below it what caused it: [depth, code, message], in the order in which they stand.
  function causes(error) {
    const lists = [make("ul", null, { class: "causes" })];
    for (const [depth, code, message] of error) {
      if (depth < lists.length) {
        lists.length = depth + 1;
      } else {
        lists.push(make("ul"));
        lists.at(-2).lastElementChild.append(lists.at(-1));
      }
      const parts = [code && make("span", code, { class: "code" }), code && message && ": ", message].filter(Boolean);
      lists.at(-1).append(make("li", parts.length ? make("bdi", parts) : "(neither code nor message)"));
    }
    return lists[0];
  }

  function sort(column, descending) {
    order = { column, descending };
    for (const each of COLUMNS) {
      const heading = at(`heading-${each.key}`);
      if (each === column) heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
    at("order").value = `${column.key} ${descending}`;
    update();
  }

  for (const column of COLUMNS) {
    const button = make("button", column.title, { type: "button" });
    button.addEventListener("click", () =>
      sort(column, order.column === column ? !order.descending : Boolean(column.time)));
    at("headings").append(make("th", button, { scope: "col", id: `heading-${column.key}`, class: `column-${column.key}` }));
    for (const descending of column.time ? [true, false] : [false, true]) {
      const direction = column.time ? (descending ? "newest first" : "oldest first") : (descending ? "Z to A" : "A to Z");
      at("order").append(make("option", `${column.title}, ${direction}`, { value: `${column.key} ${descending}` }));
    }
  }
  at("order").addEventListener("change", ({ target }) => {
    const [key, descending] = target.value.split(" ");
    sort(COLUMNS.find((column) => column.key === key), descending === "true");
  });

  const counts = new Map();
  for (const { s, stuck } of applications) {
    counts.set(s, (counts.get(s) || 0) + 1);
    if (stuck) counts.set("Stuck", (counts.get("Stuck") || 0) + 1);
  }
  for (const name of [...STATES, "Stuck"].filter((each) => counts.has(each))) {
    const label = make("span", name, name === "Stuck" ? {} : { class: "state", "data-state": name.split(" ")[0] });
    const button = make("button", [label, ` ${counts.get(name).toLocaleString("en")}`], { type: "button", "aria-pressed": false });
    button.addEventListener("click", () => {
      const pressing = !pressed.delete(name);
      if (pressing) pressed.add(name);
      button.setAttribute("aria-pressed", pressing);
      update();
    });
    at("filters").append(button);
  }

  window.addEventListener("resize", () => {
    for (const cell of at("rows").querySelectorAll(".detail > td")) cell.colSpan = visible();
  });
  at("search").addEventListener("input", update);
  at("more").addEventListener("click", () => {
    const last = at("rows").lastElementChild;
    more();
    last.nextElementSibling.querySelector("button").focus();
  });
  at("browser").hidden = false;
  sort(order.column, order.descending);
})();
