// Plays piano and voice in sync, with a balance between them.

const LEVELS = { piano: [1, 0], voice: [0, 1] };

export class Player {
  /** `onUpdate()` is called when the position or the state may have changed. */
  constructor(onUpdate) {
    this.onUpdate = onUpdate;
    this.sounds = {};
    this.pausedAt = 0;
    this.mode = "piano";
    this.balance = 0.5;
    this.voiceGain = 1;
  }

  async load(name, url) {
    this.context ??= new AudioContext();
    const response = await fetch(url);
    if (!response.ok) throw new Error(response.status);
    this.sounds[name] = await this.context.decodeAudioData(await response.arrayBuffer());
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
    this.gains = {};
    this.sources = ["piano", "voice"].map((name) => {
      const source = new AudioBufferSourceNode(this.context, { buffer: this.sounds[name] });
      this.gains[name] = new GainNode(this.context);
      source.connect(this.gains[name]).connect(this.context.destination);
      source.start(0, Math.min(this.pausedAt, this.sounds[name].duration));
      return source;
    });
    this.startedAt = this.context.currentTime - this.pausedAt;
    this.playing = true;
    this.mix();
    const update = () => {
      if (!this.playing) return;
      if (this.position >= this.duration) this.pause();
      this.onUpdate();
      requestAnimationFrame(update);
    };
    update();
  }

  pause() {
    if (!this.playing) return;
    this.pausedAt = this.position;
    this.playing = false;
    this.sources.forEach((source) => source.stop());
    this.onUpdate();
  }

  seek(seconds) {
    const wasPlaying = this.playing;
    this.pause();
    this.pausedAt = Math.min(Math.max(0, seconds), this.duration);
    this.onUpdate();
    if (wasPlaying) this.play();
  }

  mix() {
    if (!this.playing) return;
    const both = [Math.sin((this.balance * Math.PI) / 2), Math.cos((this.balance * Math.PI) / 2)];
    const [piano, voice] = LEVELS[this.mode] ?? both;
    this.gains.piano.gain.value = piano;
    this.gains.voice.gain.value = voice * this.voiceGain;
  }
}
