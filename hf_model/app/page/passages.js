// Plays passages one after another: a note of the score, or two phrases that are alike.

const PAUSE = 350; // ms between two passages
const SLACK = 0.25; // seconds; a position further away was chosen by the user, who is left alone

let turn = 0;

/** Plays [start, end] after [start, end], in seconds; `onPassage(index)` is called before each, and with -1 at the end. */
export async function playPassages(player, passages, onPassage = () => {}) {
  const mine = ++turn;
  const { loop } = player;
  player.loop = null; // a passage is played once
  for (const [index, [start, end]] of passages.entries()) {
    if (index) await new Promise((done) => setTimeout(done, PAUSE));
    if (mine !== turn || player.playing && index) break;
    onPassage(index);
    player.pause();
    player.seek(start);
    await player.play();
    if (!(await reaches(player, start, end, () => mine === turn))) break;
    player.pause();
    player.seek(end);
  }
  player.loop ??= loop;
  if (mine === turn) onPassage(-1);
}

/** Waits for the end of a passage; false if the user stopped or moved the player, or pressed something else. */
function reaches(player, start, end, isMine) {
  return new Promise((done) => {
    const look = () => {
      const at = player.position;
      if (!isMine() || !player.playing) done(at >= player.duration - SLACK && end >= player.duration - SLACK);
      else if (at < start - SLACK || at > end + SLACK) done(false);
      else if (at >= end) done(true);
      else requestAnimationFrame(look);
    };
    look();
  });
}
