// The view in which a motion is taught: a name, a few performances, and what is to be expected of the head. The
// lesson is the service's: this view shows what the service says of it, so a reload, another tab or a restart shows the same.

import { ask, change, latest, listen } from "./api.js";
import { confirmed, h, pressed, put, say, setText } from "./dom.js";
import { texts } from "./texts.js";

const t = texts.teach;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/; // as the service has it
const TIMES = [3, 5, 8];
const SOON_MS = 1500;
const WEEK_MS = 7 * 86400e3;

export function create(panel) {
  let lesson = null;
  let was = null; // the head of the lesson's name, before the lesson
  let ended = null; // the lesson that is over, until it is known what came of it
  let result = null; // {head, counter}: what came of the last lesson

  const begin = makeForm(start);
  const course = makeCourse(end);
  const outcome = makeOutcome((name) => start(name, TIMES[0], "counter", true), again);
  panel.append(h("h2", {}, t.title), begin.element, course.element, outcome.element);
  listen("lesson", take);
  listen("heads", (heads) => {
    begin.heads(heads);
    if (result) outcome.update(headOf(result.head.name));
    settle();
  });
  listen("signatures", ({ scores }) => {
    course.scores(scores);
    outcome.scores(scores);
  });
  listen("event", outcome.event);
  show();
  // better: the name of a head that is to be made better.
  return { shown: (parameters) => begin.choose(parameters.get("better")) };

  async function start(name, times, what, better) {
    take(await change("lesson.begin", { name, for: what, times, better }));
    course.focus();
  }

  async function end(save) {
    const over = lesson;
    try {
      const head = await change("lesson.end", { save });
      ended = null;
      lesson = null;
      result = head && resultOf(over, head);
    } catch (error) {
      if (error.kind !== "nothing") throw error;
      take(null); // another window was first
    }
    show();
    (result ? outcome : begin).focus();
  }

  function again() {
    result = null;
    show();
    begin.focus();
  }

  function take(value) {
    const before = lesson;
    lesson = value;
    if (value) {
      ended = result = null;
      if (before?.id !== value.id) was = headOf(value.name);
      course.update(value, before?.id === value.id ? before : null);
    } else if (before) {
      ended = before;
      settle();
      // Whoever ended it, here or in another window: the heads follow at once where it made one.
      setTimeout(() => ended === before && say(t.endedElsewhere(before.name, false)), SOON_MS);
    }
    show();
  }

  // A lesson that is over has made a head, or made one better, or was forgotten.
  function settle() {
    const head = ended && headOf(ended.name);
    const same = (key) => head[key] === was?.[key];
    if (!head || (same("examples") && same("counter_examples"))) return;
    result = resultOf(ended, head);
    say(t.endedElsewhere(ended.name, true));
    ended = null;
    show();
  }

  function show() {
    begin.element.hidden = Boolean(lesson || result);
    course.element.hidden = !lesson;
    outcome.element.hidden = Boolean(lesson || !result);
    if (result && !lesson) outcome.show(result);
  }
}

// counter: how many counter-examples there were in the lesson, or null where it was of examples.
const resultOf = ({ for: what, performances }, head) => ({
  head,
  counter: what === "counter" ? performances.filter(({ kept }) => kept).length : null,
});
const headOf = (name) => latest.heads?.find((head) => head.name === name) ?? null;

// Name and "Begin", and below it the heads that can be made better.
function makeForm(start) {
  const name = h("input", {
    id: "teach-name",
    class: "input",
    type: "text",
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
    maxlength: "64",
    required: true,
    placeholder: t.placeholder,
    "aria-describedby": "teach-name-hint",
  });
  const hint = h("p", { class: "hint", id: "teach-name-hint", "aria-live": "polite" }, t.nameHint);
  const times = choice("teach-times", TIMES.map((count) => [count, t.times(count)]));
  const button = h("button", { class: "button primary", type: "submit" }, t.begin);
  const form = h(
    "form",
    { class: "card begin", novalidate: true, "data-errors": true },
    h("label", { for: "teach-name" }, t.name),
    name,
    hint,
    h("div", { class: "with" }, h("label", { class: "unseen", for: "teach-times" }, t.timesLabel), times, button),
  );
  const which = choice("teach-better", []);
  const better = h(
    "form",
    { class: "card begin", hidden: true, "data-errors": true },
    h("h3", {}, t.betterTitle),
    h("label", { for: "teach-better" }, t.betterWhich),
    which,
    h(
      "div",
      { class: "actions" },
      ...["examples", "counter"].map((what) =>
        h(
          "button",
          {
            class: "button",
            type: "button",
            onclick: (event) => pressed(event.currentTarget, () => start(which.value, Number(times.value), what, true)),
          },
          t.betterHow[what],
        ),
      ),
    ),
  );
  let heads = [];

  // What is wrong with the name, in words, or "".
  function wrong() {
    const value = name.value.trim();
    if (!value) return t.nameMissing;
    if (!NAME.test(value)) return t.nameWrong(value);
    const taken = heads.find((head) => head.name === value);
    return taken ? t.nameTaken(value, taken.whose) : "";
  }

  function check(asked) {
    const text = name.value.trim() || asked ? wrong() : "";
    setText(hint, text || t.nameHint);
    hint.classList.toggle("wrong", Boolean(text));
    name.setAttribute("aria-invalid", String(Boolean(text)));
    return !text;
  }
  // A space is what people type; what the service takes in its place is offered as they type.
  name.addEventListener("input", () => {
    const at = name.selectionStart;
    if (/\s/.test(name.value.trimStart())) name.value = name.value.trimStart().replace(/\s/g, "_");
    name.setSelectionRange(at, at);
    check(false);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!check(true)) return name.focus();
    pressed(button, async () => {
      await start(name.value.trim(), Number(times.value), "examples", false);
      name.value = "";
    });
  });
  return {
    element: h("div", { class: "columns" }, form, better),
    focus: () => name.focus(),
    choose(head) {
      which.value = head ?? which.value;
      if (head) which.focus();
    },
    heads(value) {
      heads = value;
      const able = value.filter(({ may }) => may.includes("improve"));
      better.hidden = !able.length;
      const before = which.value;
      put(which, ...able.map((head) => h("option", { value: head.name }, head.name)));
      if (able.some((head) => head.name === before)) which.value = before;
      if (name.value.trim()) check(false);
    },
  };
}

// The lesson while it goes on.
function makeCourse(end) {
  const doing = h("h3", { class: "doing", tabindex: "-1" });
  const how = h("p", { class: "how" });
  const pips = h("div", { class: "pips", "aria-hidden": "true" });
  const said = h("p", { class: "notice", hidden: true });
  const meter = makeMeter();
  const cards = h("ol", { class: "performances", "aria-label": t.performances });
  const enough = h("button", { class: "button primary", type: "button" }, "");
  const forget = h("button", { class: "button quiet", type: "button" }, t.forget);
  let shown = null;
  enough.addEventListener("click", () => pressed(enough, () => end(true)));
  forget.addEventListener("click", async () => {
    const kept = shown.performances.some((one) => one.kept);
    const sure = { title: t.forgetTitle(shown.name), text: t.forgetText, action: t.forget, danger: true };
    if (!kept || (await confirmed(sure))) pressed(forget, () => end(false));
  });

  function card(one) {
    const press = (verb) => (event) =>
      pressed(event.currentTarget, () => change(verb, { number: one.number }));
    const [verb, text] = one.kept ? ["lesson.drop", t.drop] : ["lesson.keep", t.keep];
    return h(
      "li",
      { class: one.kept ? "performance kept" : "performance", "data-number": one.number, "data-errors": true },
      h("b", {}, t.performed(one)),
      h("span", { class: "what" }, t.judged(one)),
      h(
        "button",
        { class: "button quiet", type: "button", "aria-label": t.which(text, one.number), onclick: press(verb) },
        text,
      ),
    );
  }

  return {
    element: h(
      "div",
      { class: "card course", "data-errors": true },
      doing,
      how,
      pips,
      said,
      meter.element,
      cards,
      h("div", { class: "actions" }, enough, forget),
    ),
    focus: () => doing.focus(),
    // before: the same lesson as it was, or null where it is new to this tab.
    update(value, before) {
      shown = value;
      const kept = value.performances.filter((one) => one.kept).length;
      setText(doing, t.doing[value.state](value, kept));
      setText(how, t.how[value.state](value, kept));
      doing.parentElement.dataset.state = value.state;
      put(
        pips,
        ...Array.from({ length: Math.max(value.times, kept) }, (_, i) => h("i", { class: i < kept ? "on" : "" })),
      );
      said.hidden = !value.said;
      setText(said, value.said ?? "");
      meter.of(value.better ? value.name : null);
      const number = document.activeElement.closest(".performance")?.dataset.number;
      put(cards, ...value.performances.map(card).reverse()); // the newest on top: there the eye is
      if (number) cards.querySelector(`[data-number="${number}"] button`)?.focus();
      setText(enough, t.enough(kept));
      enough.hidden = !kept;
      const fresh = before ? value.performances.slice(before.performances.length) : [];
      const news = fresh.map((one) => t.said(one, kept, value.times));
      if (value.said && value.said !== before?.said) news.unshift(value.said);
      if (before?.state !== value.state) news.push(`${doing.textContent}. ${how.textContent}`);
      if (news.length) say(news.join(" "));
      // What follows is one press away, also for a keyboard.
      if (value.state === "enough" && before && before.state !== "enough" && !cards.contains(document.activeElement))
        enough.focus();
    },
    scores: (scores) => meter.scores(scores),
  };
}

// What came of it: what was found, what to expect, and a meter to try it with.
function makeOutcome(counter, again) {
  const title = h("h3", { tabindex: "-1" });
  const facts = h("ul", { class: "results facts" });
  const week = h("div", { class: "actions week" });
  const meter = makeMeter();
  const told = h("p", { class: "told", "aria-live": "polite" });
  const against = h("button", { class: "button", type: "button" }, t.counter);
  let shown = null;
  let count = 0;
  against.addEventListener("click", () => pressed(against, () => counter(shown.head.name)));

  // How often it would have told an event lately.
  async function lookBack(head) {
    const mine = shown;
    week.replaceChildren(h("p", { class: "muted" }, t.lookingBack));
    const until_ms = Date.now();
    try {
      const answer = await ask("lookback", { since_ms: until_ms - WEEK_MS, until_ms, heads: [head.name] });
      if (mine !== shown) return;
      const one = answer.heads.find(({ name }) => name === head.name);
      const fires = one?.would_tell ?? one?.events.filter(({ now }) => now).length ?? 0;
      const link = h("a", { class: "button", href: `#lookback?head=${head.name}` }, t.show(fires));
      week.replaceChildren(h("p", {}, t.lastWeek(fires)), link);
      say(t.lastWeek(fires));
    } catch (error) {
      if (!error.kind) throw error;
      const text = error.kind === "nothing" ? t.noStore : texts.errors.of(error);
      if (mine === shown) week.replaceChildren(h("p", {}, text));
    }
  }

  return {
    element: h(
      "div",
      { class: "card outcome", "data-errors": true },
      title,
      facts,
      week,
      h("h4", {}, t.tryIt),
      meter.element,
      told,
      h(
        "div",
        { class: "actions" },
        h("button", { class: "button primary", type: "button", onclick: again }, t.another),
        against,
      ),
      h("p", { class: "hint" }, t.counterHint),
    ),
    focus: () => title.focus(),
    show(result) {
      if (result === shown) return;
      shown = result;
      count = 0;
      setText(told, t.notYet);
      setText(title, t.live(result.head.name, result.counter));
      this.update(result.head);
      lookBack(result.head);
    },
    update(head) {
      if (!head) return setText(title, t.gone(shown.head.name));
      put(facts, ...t.facts(head, shown.counter).map((line) => h("li", {}, line)));
      against.hidden = !head.may.includes("improve");
      meter.of(head.name, head.on);
    },
    scores: (scores) => meter.scores(scores),
    event(event) {
      if (event.head !== shown?.head.name || event.phase === "ended") return;
      count += 1;
      setText(told, t.toldNow(count, event.score));
    },
  };
}

// How like a head the newest signature is, with the level from which on it tells.
function makeMeter() {
  const fill = h("i", { class: "fill" });
  const level = h("i", { class: "level", hidden: true });
  const value = h("output", { "aria-live": "off" }, "–");
  const bar = h("div", { class: "bar", "aria-hidden": "true" }, fill, level);
  const element = h("div", { class: "meter", hidden: true }, h("span", {}, t.likeness), bar, value);
  let name = null;
  const share = (score) => `${Math.max(0, Math.min(1, score)) * 100}%`;
  return {
    element,
    of(head, on = headOf(head)?.on) {
      name = head;
      element.hidden = head === null;
      level.hidden = on == null;
      if (on != null) level.style.insetInlineStart = share(on);
    },
    scores(scores) {
      const rows = (name !== null && scores?.[name]) || [];
      const score = Math.max(...rows.filter((one) => one !== null));
      if (!Number.isFinite(score)) return;
      fill.style.inlineSize = share(score);
      setText(value, score.toFixed(2));
    },
  };
}

function choice(id, options) {
  return h("select", { id, class: "input" }, ...options.map(([value, text]) => h("option", { value }, text)));
}
