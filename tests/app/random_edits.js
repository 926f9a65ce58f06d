// Random edits of random melodies in the browser: gives what is wrong after one of them.
async ({ runs, seed }) => {
  const edits = await import("/page/edits.js");
  const { History } = await import("/page/history.js");
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const between = (low, high) => low + random() * (high - low);
  const pick = (items) => items[Math.floor(random() * items.length)];
  const freeze = (notes) => Object.freeze(notes.map(Object.freeze));
  const wrong = [];
  let nextId = 1000;
  const count = {};

  const check = (notes, before, bounds, what) => {
    const report = (text) => wrong.push(`${what}: ${text} ${JSON.stringify(before)} -> ${JSON.stringify(notes)}`);
    const old = new Map(before.map((note) => [note.id, note]));
    if (new Set(notes.map((note) => note.id)).size !== notes.length) report("an id twice");
    notes.forEach((note, index) => {
      if (!(note.onset >= 0 && note.offset <= bounds.duration)) report("outside");
      if (index && notes[index - 1].offset > note.onset) report("overlap or order");
      const length = note.offset - note.onset;
      if (note !== old.get(note.id) && length < Math.min(bounds.shortest, old.has(note.id) ? old.get(note.id).offset - old.get(note.id).onset : 1) - 2e-4) report("too short");
      if (note.key !== null && !(Number.isInteger(note.key) && note.key >= 21 && note.key <= 108)) report("key");
    });
  };

  for (let run = 0; run < runs; run++) {
    const bounds = edits.boundsOf(between(0.5, 12), { shortest: pick([0.04, 0.04, 0.2]), lowest: pick([21, 33]), highest: pick([108, 96]) });
    let at = 0;
    const first = [];
    while (at < bounds.duration - 0.1 && first.length < 12) {
      const [onset, offset] = [at, Math.min(bounds.duration, at + between(0.02, 1))].map((seconds) => Math.round(seconds * 1e4) / 1e4);
      first.push({ id: first.length, onset, offset, pitch: between(30, 90), velocity: 80, confidence: random(), key: null });
      at = offset + (random() < 0.4 ? 0 : between(0, 0.5));
    }
    const history = new History(freeze(first));
    const states = [history.state];
    for (let step = 0; step < 30; step++) {
      const before = history.state;
      const ids = new Set(before.filter(() => random() < 0.3).map((note) => note.id));
      const id = before.length ? pick(before).id : -1;
      const time = between(-1, bounds.duration + 1);
      const operations = {
        moved: () => edits.moved(before, ids, { seconds: pick([0, between(-3, 3)]), semitones: pick([0, between(-40, 40)]) }, bounds),
        stretched: () => edits.stretched(before, id, pick(["onset", "offset"]), time, bounds),
        split: () => edits.split(before, id, pick([null, time]), nextId++, bounds),
        merged: () => edits.merged(before, id, bounds),
        removed: () => (random() < 0.3 ? edits.removed(before, ids) : before),
        added: () => edits.added(before, { id: nextId++, onset: time, offset: time + between(-0.1, 2), key: between(10, 120), velocity: between(0, 200) }, bounds),
        kept: () => edits.kept(before, ids, bounds),
        velocity: () => edits.withVelocity(before, id, between(-10, 200), bounds),
      };
      const name = pick(Object.keys(operations));
      const after = freeze(operations[name]());
      if (after.length !== before.length || after.some((note, index) => note !== before[index])) count[name] = (count[name] ?? 0) + 1;
      check(after, before, bounds, name);
      history.push(after);
      if (history.state !== states.at(-1)) states.push(history.state);
      if (random() < 0.2) {
        const now = JSON.stringify(history.state);
        const times = Math.floor(between(1, 5));
        let undone = 0;
        while (undone < times && history.undo()) undone++;
        while (undone-- && history.redo());
        if (JSON.stringify(history.state) !== now) wrong.push("redo does not give back what undo took");
      }
    }
    for (let index = states.length - 2; index >= 0; index--) if (!history.undo() || history.state !== states[index]) wrong.push(`undo ${index}`);
    if (history.undo() || history.state !== states[0]) wrong.push("undo goes too far");
    for (let index = 1; index < states.length; index++) if (!history.redo() || history.state !== states[index]) wrong.push(`redo ${index}`);
    if (history.redo()) wrong.push("redo goes too far");
  }
  return { wrong: wrong.slice(0, 5), count };
};
