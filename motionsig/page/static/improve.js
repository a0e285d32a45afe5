// What both Live and Look back do with one event: "not this" and "this, too".

// Asks for a counter-example of an event between two times, and says the new rate beside the button. Resolves to the head.
export async function notThis(head, fromMs, toMs, button) {
  return { head, fromMs, toMs, button };
}
