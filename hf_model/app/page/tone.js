// A short piano-like sound of one key, to hear a note at once while it is edited.

const PARTIALS = [0, 1, 0.6, 0.3, 0.22, 0.12, 0.09, 0.05, 0.03];
const ATTACK = 0.006; // seconds
const RELEASE = 0.09;
const [SHORTEST, LONGEST] = [0.15, 1.5];

/** Plays a key (MIDI number) into a node of an audio context; gives a function that ends it early. */
export function strike(context, output, key, velocity, at, seconds) {
  const frequency = 440 * 2 ** ((key - 69) / 12);
  const partials = PARTIALS.map((level, number) => (number * frequency < context.sampleRate / 2 ? level : 0));
  const wave = context.createPeriodicWave(new Float32Array(partials.length), Float32Array.from(partials));
  const source = new OscillatorNode(context, { frequency, type: "custom", periodicWave: wave });
  const gain = new GainNode(context, { gain: 0 });
  const loud = 0.08 + 0.25 * (velocity / 127);
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(loud, at + ATTACK);
  gain.gain.setTargetAtTime(loud * 0.25, at + ATTACK, 0.25);
  gain.gain.setTargetAtTime(0, at + seconds, RELEASE / 3);
  source.connect(gain).connect(output);
  source.start(at);
  source.stop(at + seconds + 2 * RELEASE);
  return () => {
    const now = context.currentTime;
    gain.gain.cancelScheduledValues(now);
    gain.gain.setTargetAtTime(0, now, 0.01);
    source.stop(now + 0.08);
  };
}

export class Tone {
  /** `openContext()` gives the audio context of the page. */
  constructor(openContext) {
    this.openContext = openContext;
    this.end = () => {};
  }

  /** Plays a key; the one before it ends. */
  async play(key, velocity = 80, seconds = 0.5) {
    const context = this.openContext();
    await context.resume();
    this.end();
    this.end = strike(context, context.destination, key, velocity, context.currentTime, Math.min(Math.max(seconds, SHORTEST), LONGEST));
    document.body.dataset.sounded = key;
  }
}
