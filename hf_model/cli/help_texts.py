"""The descriptions and examples of `--help`."""

DESCRIPTION = "Convert singing, humming, or the lead voice of a song to piano: same melody, same timing, same length."

RENDER = "Render a MIDI file or an edited table of notes with the same piano."

APP = "Serve a page in the browser to record, listen, edit and download."

COMPLETION = "Print a script for tab completion of commands, options and files."

EXAMPLES = """\
examples:
  hummingface convert hum.wav                     write hum_piano.wav and hum_piano.mid next to hum.wav
  hummingface convert hum.m4a --csv --plot        also a table of the notes and a picture
  hummingface convert takes/ --out-dir piano      all recordings in a folder
  hummingface convert song.mp3 --backing keep     a song: also song_cover.wav, the piano in the singer's place
  hummingface convert "takes/*.mp3" --transpose 12      an octave higher
  hummingface convert hum.wav --json | jq '.files[0].n_notes'
  hummingface render hum_piano.mid -o new.wav     render a MIDI file or a table of notes
  hummingface live                                notes while you sing, on the screen or at a MIDI port
  hummingface app                                 the same in the browser, with a microphone
  hummingface info                                versions, weights, licences
"""

CONVERT_EXAMPLES = """\
outputs for hum.wav:
  hum_piano.wav   the piano: 44.1 kHz, exactly as long as the recording
  hum_piano.mid   the notes as performed, with tempo, time signature and key, for a DAW
  hum_piano.csv   (--csv) onset,offset,pitch,note,velocity,confidence,recording: onset and offset in seconds, pitch of
                  the voice as a MIDI number with decimals, note as played on the piano, velocity 0-127, confidence 0-1,
                  length of the recording in seconds
  hum_piano.musicxml   (--musicxml) the score, for notation software
  hum_piano.png   (--plot) the notes over the spectrogram of the voice
  hum_piano.structure.png   (--structure) the repeated phrases of the melody
  hum_piano.labels.txt   (--labels) onset, offset and name of each note: File > Import > Labels in Audacity
  hum_piano.pitch.csv   (--pitch-curve) time,frequency,voicing: every 10 ms
  hum_piano.bend.mid   (--bend) the keys with the glides and the vibrato of the voice, on one channel
  hum_piano.ultrastar.txt   (--ultrastar) a song with "la" as its words
  hum_piano.ustx   (--ustx) notes and pitch curve, for OpenUtau
  hum_piano.jams   (--jams) notes, beats, tempo and key, for programs that read JAMS
  hum_cover.wav   (--backing keep, songs only) the accompaniment with the piano in the singer's place
  hum_voice.wav   (--voice, songs only) the separated voice

songs:
  If something plays beside the voice, the voice is separated first; the line of each file, and "source" in --json, say
  what was decided, and how certain it is. --source voice or song decides otherwise. Beats, bars and chords are those of
  the band, unless --tempo and --meter are given. The sound of videos (mp4 mov mkv webm 3gp) is read as well.

examples:
  hummingface convert hum.wav
  hummingface convert monday.m4a tuesday.m4a --out-dir piano --overwrite
  hummingface convert takes/ --no-audio --csv     notes only, without playing them
  hummingface convert hum.wav --bend --pitch-curve     with what the voice does within the notes
  hummingface convert hum.wav --quantize 1/8 --simplify 1     on the grid, without ornaments
  hummingface convert hum.wav --tempo 96 --meter 4/4 --key "F major"     known values instead of estimates
  hummingface convert hum.wav --preset beginner --accompany     simple, with chords in the left hand
  hummingface convert takes/ --min-note 0.1 --min-confidence 0.3     fewer, more certain notes
  hummingface convert song.mp3 --start 1:05 --end 1:50 --backing keep     a part of a song, with its cover
  hummingface convert concert.mp4 --source song --voice     the song in a video, and the voice alone
  hummingface convert hum.wav --source voice      a voice alone, whatever else sounds
  hummingface convert hum.wav --tuning 0          no correction of a flat or sharp voice
  hummingface convert hum.wav --pedal --reverb 0.3      sustain pedal and reverb

exit code: 0 all converted, 1 a file failed (the others are converted), 2 wrong usage, 130 interrupted
"""

RENDER_EXAMPLES = """\
NOTES is a MIDI file (all instruments but drums, with its tempo changes, velocities and pedal) or a table as written by
`convert --csv`, of which the columns onset, offset, note and velocity are used: onset and offset in seconds, note as a
MIDI number (60) or a name (C4).

examples:
  hummingface render tune.mid                     write tune.wav next to it
  hummingface render hum_piano.csv -o edited.wav  notes edited in a spreadsheet
  hummingface render tune.mid --pedal --reverb 0.3      sustain pedal and reverb
  hummingface render tune.mid --sound reference -o compare.wav    FluidSynth, at the same loudness
  hummingface render tune.mid --duration 60       exactly one minute

exit code: 0 rendered, 1 the notes or the piano cannot be loaded, 2 wrong usage, 130 interrupted
"""


APP_NOTES = """\
The page needs: pip install 'hummingface[app]'. It runs locally: nothing is sent to another server. Recordings are
deleted when the user leaves, or after 20 minutes. Only this machine can open the page, unless --host is given; browsers
allow the microphone on localhost and over https only.
With --host, everyone who can reach the address can open the page: --token auto asks for a token first.
"""

SING = """\
Sing words on a melody with a synthetic voice. Each syllable gets a note: words are divided by their pronunciation, or
where hyphens are written (twin-kle); _ holds a syllable for one more note. The melody moves by octaves into the range
of the voice.
"""

SING_EXAMPLES = """\
Needs: pip install 'hummingface[lyrics]'; a MusicXML score also needs hummingface[score], and its own words are sung if
no others are given.

examples:
  hummingface sing hum.m4a --lyrics "Happy birthday to you"
  hummingface sing melody.mid --lyrics words.txt --voice tenor --piano
  hummingface sing melody.csv --lyrics "Bri-lha, bri-lha, es-tre-li-nha" --language pt
  hummingface sing song.musicxml

exit code: 0 sung, 1 the melody cannot be read or there are no words, 2 wrong usage, 130 interrupted
"""

PRACTICE = """\
Compare a take with the score that was meant: for every note how many cents it is sharp or flat, and how many
milliseconds early or late; the notes that were missed or added; the range, and whether the tuning drifts.
The singer may use another key, octave and tempo: both are found first, and each note is measured against them.
"""

PRACTICE_EXAMPLES = """\
TAKE is a recording of one voice, or a song, whose voice is separated. SCORE is a MIDI file (its track named melody, or
the first one), a MusicXML score (needs hummingface[score]) or a table of notes as `convert --csv` writes it.

the columns:
  note     number in the score; + is a note that is not in the score
  seconds  when it was sung, or would have been
  cents    + sharp, - flat: hundredths of a semitone from the written note in the singer's own key and tuning; with
           --tuning 0 from A = 440 Hz. Up to 20 is in tune, from 100 on it is another note
  ms       + late, - early: thousandths of a second from the singer's own tempo, smoothed over some seconds. Up to 60 is
           on time
If only a part of the score is sung, the rest of it does not count.

examples:
  hummingface practice take.wav song.mid          a summary, and a line for every note
  hummingface practice take.wav song.musicxml --picture take.png     the same as a picture
  hummingface practice take.wav song.mid --csv take.csv     for a spreadsheet
  hummingface practice take.wav song.mid --json | jq .drift_cents
  hummingface practice take.wav song.mid --tuning 0     beside a piano: its tuning counts, not the singer's

exit code: 0 compared, 1 a file cannot be read or the take is of another song, 2 wrong usage, 130 interrupted
"""

IDENTIFY = """\
Name the instruments that sound in recordings of at least one second, with probabilities: piano, guitars, bass, strings,
winds, synthesizers, drums, voices, humming, whistling. Several may sound at once.
"""

IDENTIFY_EXAMPLES = """\
examples:
  hummingface identify clip.wav                   the most probable instruments
  hummingface identify song.mp3 --timeline        what sounds when, every 2.5 s
  hummingface identify samples/ --json            all recordings of a folder, as JSON

exit code: 0 all identified, 1 a file failed, 2 wrong usage, 130 interrupted
"""

LIVE = """\
Transcribe while you sing: notes appear after about a tenth of a second, on the screen and at a MIDI port. Such a note
is provisional; the final notes, seconds later, are exactly those that `convert` finds in the recording.
"""

LIVE_EXAMPLES = """\
Needs: pip install 'hummingface[live]'; on Linux also PortAudio (sudo apt install libportaudio2). Ctrl-C ends the
recording; what was sung until then is finished and written.

examples:
  hummingface live                                the default microphone; Ctrl-C to end
  hummingface live --list-devices                 the microphones and MIDI ports of this computer
  hummingface live --record tune                  also write tune.wav, tune_piano.wav and tune_piano.mid at the end
  hummingface live --midi-out virtual             a new MIDI port, to which a synthesizer or a DAW connects
  hummingface live --midi-out "FLUID Synth" --transpose 12     play along on a synthesizer, an octave higher
  hummingface live --input 3                      another microphone, by its number or a part of its name
  hummingface live --input hum.wav                a file instead of a microphone, as fast as it sounds
  hummingface live --input hum.wav --fast --json  all events of a file, as lines of JSON

lines without a terminal (or with --plain): time, event, key, onset (and offset):
  on      a provisional note began               off     it ended
  pitch   its pitch was corrected                final   a note is final
--midi-out plays the provisional notes: the synthesizer cannot wait for the final ones. Use headphones, so that the
microphone does not record what it plays.

exit code: 0 ended, 1 no microphone, port or file, 2 wrong usage, 130 interrupted a second time
"""
