// Plays the stems of a recording (piano, voice, backing) on one clock; what is heard is a choice of their levels.

/** The stems that each choice plays. */
const STEMS = { piano: ["piano"], both: ["piano", "voice"], cover: ["piano", "backing"], voice: ["voice"], original: ["voice", "backing"] };
const HEADROOM = Math.SQRT1_2; // of two sounds that are equally loud
const SMOOTH = 0.015; // seconds of a change of levels, so that it does not click
const FADE = 0.03; // seconds at both ends of a part that is played by itself

export class Player {
  /** `onUpdate()` is called when the position or the state may have changed. */
  constructor(onUpdate) {
    this.onUpdate = onUpdate;
    this.pausedAt = 0;
    this.balance = 0.5;
    this.reset();
  }

  /** Forgets all sounds. */
  reset() {
    this.pause();
    Object.assign(this, { sounds: {}, urls: {}, loop: null, isLooping: false, mode: "piano", voiceGain: 1, coverGains: { piano: 1, backing: 1 }, pausedAt: 0 });
  }

  /** Names the file of a stem: it is loaded when it is first heard. */
  offer(name, url) {
    this.urls[name] = url;
    delete this.sounds[name];
  }

  async load(name) {
    const url = this.urls[name];
    if (!url || this.sounds[name]) return;
    const sound = await this.fetchSound(url);
    if (this.urls[name] !== url) return; // offered anew meanwhile
    this.sounds[name] = sound;
    if (this.playing) this.startSource(name);
  }

  async fetchSound(url) {
    const response = await fetch(url);
    if (!response.ok) throw new Error(response.status);
    return this.open().decodeAudioData(await response.arrayBuffer());
  }

  /** Gives the audio context, made when it is first needed. */
  open() {
    return (this.context ??= new AudioContext());
  }

  /** Chooses what is heard, and loads what it needs; the position stays. */
  async choose(mode) {
    this.mode = mode;
    await Promise.all(STEMS[mode].map((name) => this.load(name)));
    this.mix();
  }

  /** Replaces the piano by another rendering; the position stays. */
  async replacePiano(url) {
    const sound = await this.fetchSound(url);
    const { position, playing } = this;
    this.pause();
    this.urls.piano = url;
    this.sounds.piano = sound;
    this.pausedAt = Math.min(position, this.duration);
    if (playing) this.play();
  }

  get duration() {
    return this.sounds.piano?.duration ?? 0;
  }

  get position() {
    return this.playing ? Math.min(this.looped(this.context.currentTime - this.startedAt), this.duration) : this.pausedAt;
  }

  /** A time since the start as a position: in a loop it goes round, unless it began behind it. */
  looped(seconds) {
    if (!this.isLooping || seconds < this.loop.end) return seconds;
    const { start, end } = this.loop;
    return start + ((seconds - start) % (end - start));
  }

  /** Repeats a range { start, end } in seconds, beginning within it; null ends that. */
  setLoop(range) {
    const { playing } = this;
    this.pause();
    const end = range && Math.min(range.end, this.duration - 0.02); // no sound is shorter: all go round together
    this.loop = range && end > range.start ? { start: range.start, end } : null;
    if (this.loop && (this.pausedAt < this.loop.start || this.pausedAt >= this.loop.end)) this.pausedAt = this.loop.start;
    this.onUpdate();
    if (playing) this.play();
  }

  /** Plays a part of one sound by itself; gives { stop, ended }. */
  async playSlice(name, from, to) {
    await this.load(name);
    const context = this.open();
    await context.resume();
    const source = new AudioBufferSourceNode(context, { buffer: this.sounds[name] });
    const gain = new GainNode(context, { gain: 0 });
    const [begin, length] = [context.currentTime + 0.02, to - from];
    gain.gain.setValueAtTime(0, begin);
    gain.gain.linearRampToValueAtTime(1, begin + FADE);
    gain.gain.setValueAtTime(1, begin + length - FADE);
    gain.gain.linearRampToValueAtTime(0, begin + length);
    source.connect(gain).connect(context.destination);
    source.start(begin, from, length);
    return { stop: () => source.stop(), ended: new Promise((resolve) => (source.onended = resolve)) };
  }

  async play() {
    if (!this.duration || this.playing) return;
    await this.context.resume();
    if (this.pausedAt >= this.duration - 0.05) this.pausedAt = 0;
    this.isLooping = Boolean(this.loop) && this.pausedAt < this.loop.end;
    this.sources = {};
    this.gains = {};
    this.startedAt = this.context.currentTime + 0.02 - this.pausedAt;
    this.playing = true;
    for (const name of Object.keys(this.sounds)) this.startSource(name);
    const update = () => {
      if (!this.playing) return;
      if (this.position >= this.duration) this.pause();
      this.onUpdate();
      requestAnimationFrame(update);
    };
    update();
  }

  /** Starts a stem at the position of the others, to the sample. */
  startSource(name) {
    const at = Math.max(this.context.currentTime + 0.02, this.startedAt + this.pausedAt);
    const loop = this.isLooping ? { loop: true, loopStart: this.loop.start, loopEnd: this.loop.end } : {};
    const source = new AudioBufferSourceNode(this.context, { buffer: this.sounds[name], ...loop });
    const gain = new GainNode(this.context, { gain: this.levels[name] ?? 0 });
    source.connect(gain).connect(this.context.destination);
    source.start(at, this.looped(Math.max(0, at - this.startedAt)));
    this.sources[name]?.stop();
    this.sources[name] = source;
    this.gains[name] = gain;
  }

  pause() {
    if (!this.playing) return;
    this.pausedAt = this.position;
    this.playing = false;
    Object.values(this.sources).forEach((source) => source.stop());
    this.onUpdate();
  }

  seek(seconds) {
    const wasPlaying = this.playing;
    this.pause();
    this.pausedAt = Math.min(Math.max(0, seconds), this.duration);
    this.onUpdate();
    if (wasPlaying) this.play();
  }

  /** The level of each stem that is heard: in the middle of the balance, a cover is the one that is downloaded. */
  get levels() {
    const [piano, other] = [Math.min(1, 2 * this.balance), Math.min(1, 2 - 2 * this.balance)];
    if (this.mode === "both") return { piano: HEADROOM * piano, voice: HEADROOM * other * this.voiceGain };
    if (this.mode === "cover") return { piano: piano * this.coverGains.piano, backing: other * this.coverGains.backing };
    return Object.fromEntries(STEMS[this.mode].map((name) => [name, 1]));
  }

  mix() {
    if (!this.playing) return;
    const { levels } = this;
    for (const [name, { gain }] of Object.entries(this.gains)) gain.setTargetAtTime(levels[name] ?? 0, this.context.currentTime, SMOOTH);
  }
}
