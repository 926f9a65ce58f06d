// Plays the stems of a recording (piano, voice, backing) on one clock; what is heard is a choice of their levels.

/** The stems that each choice plays. */
const STEMS = { piano: ["piano"], both: ["piano", "voice"], cover: ["piano", "backing"], voice: ["voice"], original: ["voice", "backing"] };
const HEADROOM = Math.SQRT1_2; // of two sounds that are equally loud
const SMOOTH = 0.015; // seconds of a change of levels, so that it does not click

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
    Object.assign(this, { sounds: {}, urls: {}, mode: "piano", voiceGain: 1, coverGains: { piano: 1, backing: 1 }, pausedAt: 0 });
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
    this.context ??= new AudioContext();
    const response = await fetch(url);
    if (!response.ok) throw new Error(response.status);
    return this.context.decodeAudioData(await response.arrayBuffer());
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
    return this.playing ? Math.min(this.context.currentTime - this.startedAt, this.duration) : this.pausedAt;
  }

  async play() {
    if (!this.duration || this.playing) return;
    await this.context.resume();
    if (this.pausedAt >= this.duration - 0.05) this.pausedAt = 0;
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
    const source = new AudioBufferSourceNode(this.context, { buffer: this.sounds[name] });
    const gain = new GainNode(this.context, { gain: this.levels[name] ?? 0 });
    source.connect(gain).connect(this.context.destination);
    source.start(at, Math.max(0, at - this.startedAt));
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
