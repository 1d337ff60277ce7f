// A node of another make: Node.js, its own Ed25519, npm's `ws` and `@msgpack/msgpack`, and what PROTOCOL.md says.
//
//     node node_peer.cjs ws://127.0.0.1:4000 TARGET
//
// TARGET is the other node's id, 64 hexadecimal digits. It dials, proves itself, and dials again when the connection
// is lost. Each line of stdin is a command: `ask N` asks the engine `echo`, `cut` drops the connection without a word,
// the end of stdin is the end. Each line of stdout is a JSON object: what happened. Tells for its engine `ears` are
// taken; for any other engine they are refused.
"use strict";

const crypto = require("node:crypto");
const readline = require("node:readline");
const { WebSocket } = require("ws");
const { encode, decodeMulti, decode } = require("@msgpack/msgpack");

const CONNECT = Buffer.from("trio-actors/1 connect\0");
const T = { request: 0x81, reply: 0x82, proof: 0x83, accepted: 0x84, refused: 0x85, resume: 0x90, messages: 0x91,
  ack: 0x92, settled: 0x93, want: 0x94, ping: 0xa0, pong: 0xa1, idle: 0xa2, idleOk: 0xa3, goAway: 0xa4, bye: 0xa5 };
const TELL = 0, ASK = 1, REPLY = 2, SKIP = 3;
const ANY = { useBigInt64: true };   // u64 may come in eight bytes

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
process.on("uncaughtException", (error) => { say({ error: error.stack }); process.exit(1); });
const u = (value, size) => { const b = Buffer.alloc(size); b.writeUIntBE(value, size > 6 ? size - 6 : 0, Math.min(size, 6)); return b; };
const sha256 = (...parts) => crypto.createHash("sha256").update(Buffer.concat(parts)).digest();
const counted = (bytes) => Buffer.concat([u(bytes.length, 4), bytes]);

// -- identity (H3, H6, I1) ----------------------------------------------------------------------------------

const pair = crypto.generateKeyPairSync("ed25519");
const me = pair.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
const peer = Buffer.from(process.argv[3], "hex");
const peerKey = crypto.createPublicKey({
  key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), peer]), format: "der", type: "spki" });
const sign = (...parts) => crypto.sign(null, Buffer.concat(parts), pair.privateKey);
const holds = (signature, ...parts) => crypto.verify(null, Buffer.concat(parts), peerKey, signature);

const incarnation = [Date.now(), crypto.randomBytes(6).readUIntBE(0, 6)];
const epoch = 1;
let dial = 0;

// -- the two halves of the session, which outlive connections (S) -------------------------------------------

const transmit = { next: 1, retained: [], queue: [], lanes: [["client", "echo"]], settle: 0,
  limit: { count: 0, size: 0 }, used: { count: 0, size: 0 } };
let receive = null;                  // of one incarnation and epoch of the peer
const answers = new Map();           // correlation -> what was asked
let correlation = crypto.randomBytes(4).readUInt32BE();

function halfOf(theirs, epochOfTheirs) {
  const name = JSON.stringify([theirs.map(String), String(epochOfTheirs)]);
  if (receive?.name !== name)
    receive = { name, record: crypto.randomBytes(4).readUInt32BE(), position: 0, refusals: [] };
}

// -- one connection -----------------------------------------------------------------------------------------

class Connection {
  constructor(url) {
    this.state = "requested";
    this.came = Buffer.alloc(0);
    this.lanes = new Map();
    this.socket = new WebSocket(url, "trio-actors.1", { perMessageDeflate: false, maxPayload: 131072 });
    this.socket.on("open", () => this.request());
    this.socket.on("message", (data, isBinary) => this.receive(isBinary ? data : null));
    this.socket.on("error", (error) => say({ error: error.message }));
    this.socket.on("close", () => lost(this));
  }

  write(type, body) {                // frames mean something, messages do not: cut some of them in two
    const frame = Buffer.concat([u(body.length + 1, 4), Buffer.from([type]), body]);
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const middle = frame.length >> 1;
    this.socket.send(frame.subarray(0, middle));
    this.socket.send(frame.subarray(middle));
  }

  record(type, ...fields) { this.write(type, Buffer.from(encode(fields))); }

  fail(why) {                        // a ProtocolError
    say({ error: why });
    this.record(T.bye, "protocol error: " + why);
    this.socket.close(1000);
  }

  receive(data) {
    if (data === null) return this.fail("a text message");
    this.came = Buffer.concat([this.came, data]);
    while (this.came.length >= 4) {
      const length = this.came.readUInt32BE();
      if (!length || length > (this.state === "proven" || this.state === "resumed" ? 1 << 20 : 4096)) return this.fail("a frame's length");
      if (this.came.length < 4 + length) return;
      const frame = this.came.subarray(4, 4 + length);
      this.came = this.came.subarray(4 + length);
      this.frame(frame[0], frame.subarray(1), frame);
    }
  }

  // -- the handshake

  request() {
    const body = Buffer.from(encode([1, 1, me, peer, incarnation, crypto.randomBytes(32), ++dial, null, 0, 0, 1 << 20]));
    this.asked = Buffer.concat([Buffer.from([T.request]), body]);
    this.write(T.request, body);
  }

  replied(fields, frame) {
    if (fields[0] !== "ok") return this.fail("turned away: " + fields[0]);
    const channel = Buffer.from([0, 0, 0]);          // plain, and no digest
    this.said = Buffer.concat([counted(this.asked), counted(frame.subarray(0, -66)), channel]);
    if (Number(fields[1]) !== 1) return this.fail("not the highest version");
    if (!holds(frame.subarray(-64), CONNECT, Buffer.from("accept\0"), sha256(this.said))) return this.fail("not that node");
    this.theirs = fields[4];
    this.signed = Buffer.concat([u(epoch, 8), Buffer.from([1])]);
    this.record(T.proof, epoch, true, sign(CONNECT, Buffer.from("dial\0"), sha256(this.said, this.signed)));
    this.state = "proved";
  }

  accepted([theirEpoch, permanent], frame) {
    const signed = Buffer.concat([u(Number(theirEpoch), 8), Buffer.from([permanent ? 1 : 0])]);
    if (!holds(frame.subarray(-64), CONNECT, Buffer.from("welcome\0"), sha256(this.said, signed))) return this.fail("not its word");
    halfOf(this.theirs, theirEpoch);
    this.state = "proven";
    // Credit without end: what comes is taken at once.
    this.record(T.resume, receive.record, receive.position, receive.refusals, 2 ** 32, 2 ** 40, []);
  }

  // -- the session

  resume([record, position, refusals, count, size, credit]) {
    if (transmit.record !== undefined && transmit.record !== record) return this.fail("it has forgotten us");
    transmit.record = record;
    this.state = "resumed";
    transmit.limit = { count: Number(count), size: Number(size) };
    this.acknowledged(position, refusals, credit);
    for (const one of transmit.retained) this.messages([one]);
    say({ connected: dial, again: transmit.retained.length });
    this.pump();
  }

  acknowledged(upto, refusals, credit) {
    const far = Number(upto);
    if (far >= transmit.next) return this.fail("an acknowledgement of what was never written");
    for (const [number, reason] of refusals) {
      transmit.settle = Math.max(transmit.settle, Number(number));
      say({ refused: reason });
    }
    transmit.retained = transmit.retained.filter((one) => one.number > far);
    for (const [target, count, size] of credit)
      if (target === "echo") {
        transmit.limit.count = Math.max(transmit.limit.count, Number(count));
        transmit.limit.size = Math.max(transmit.limit.size, Number(size));
      }
    this.pump();
  }

  pump() {
    while (this.state === "resumed" && transmit.queue.length) {
      const one = transmit.queue[0];
      if (transmit.used.count + 1 > transmit.limit.count || transmit.used.size + one.item.length > transmit.limit.size) return;
      transmit.used.count += 1;
      transmit.used.size += one.item.length;
      transmit.queue.shift();
      one.number = transmit.next++;
      transmit.retained.push(one);
      this.messages([one]);
    }
  }

  messages(run) {                    // one run, of one message
    const payload = Buffer.concat([Buffer.from([0x91]), run[0].item]);
    const ttl = Math.max(1, run[0].until - Date.now());
    const record = Buffer.from(encode([run[0].number, transmit.settle, receive.position, [[0, "client", "echo"]],
      [[0, run[0].kind, 1, ttl, payload.length]]]));
    if (receive.refusals.length) this.acknowledge();
    this.write(T.messages, Buffer.concat([u(record.length, 2), record, payload]));
  }

  acknowledge() { this.record(T.ack, receive.position, receive.refusals, []); }

  taken(body) {
    const size = body.readUInt16BE();
    const [first, settled, upto, lanes, runs] = decode(body.subarray(2, 2 + size), ANY);
    receive.refusals = receive.refusals.filter(([number]) => number > Number(settled));
    for (const [lane, sender, target] of lanes) this.lanes.set(String(lane), { sender, target });
    let number = Number(first), at = 2 + size;
    for (const [lane, kind, count, , length] of runs) {
      const [items] = decodeMulti(body.subarray(at, at + Number(length)), ANY);
      at += Number(length);
      if (items.length !== Number(count)) return this.fail("a payload of another length");
      for (const item of items) {
        if (number > receive.position + 1) return this.fail("a gap");
        if (number === receive.position + 1) {
          receive.position = number;
          this.deliver(number, Number(kind), this.lanes.get(String(lane)), item);
        }
        number += 1;
      }
    }
    if (Number(upto)) this.acknowledged(upto, [], []);
    this.acknowledge();
  }

  deliver(number, kind, lane, item) {
    if (kind === REPLY) {
      const [which, status, value] = item;
      const asked = answers.get(String(which));
      answers.delete(String(which));
      if (asked !== undefined) say(Number(status) ? { failed: value ?? "crashed", asked } : { answer: Number(value.n), asked });
    } else if (kind === TELL && lane.target === "ears") say({ told: Number(item[1]) });
    else if (kind === TELL || kind === ASK) receive.refusals.push([number, "no_engine"]);
    else if (kind !== SKIP) return;  // a CANCEL of nothing
  }

  frame(type, body, frame) {
    const fields = type === T.messages ? [] : decode(body, ANY);
    const legal = { requested: [T.reply], proved: [T.accepted, T.refused], proven: [T.resume, T.bye] }[this.state];
    if (legal && !legal.includes(type)) return this.fail(`a frame ${type.toString(16)} while ${this.state}`);
    switch (type) {
      case T.reply: return this.replied(fields, frame);
      case T.accepted: return this.accepted(fields, frame);
      case T.refused: return this.fail("refused: " + fields[0]);
      case T.resume: return this.state === "proven" ? this.resume(fields) : this.fail("a second Resume");
      case T.messages: return this.taken(body);
      case T.ack: return this.acknowledged(...fields);
      case T.settled: receive.refusals = receive.refusals.filter(([number]) => number > Number(fields[0])); return;
      case T.ping: return this.record(T.pong, fields[0]);
      case T.goAway: return say({ goAway: fields[0] });
      case T.bye: return this.socket.close(1000);
      case T.pong: case T.want: case T.idle: case T.idleOk: return;
      default: if (type & 0x80) this.fail("a critical frame that is not known");
    }
  }
}

// -- dialing, and what it is told to do ---------------------------------------------------------------------

let ending = false;
let connection = new Connection(process.argv[2]);

function lost(which) {
  if (which !== connection) return;
  say({ lost: dial });
  if (ending) process.exit(0);
  setTimeout(() => { connection = new Connection(process.argv[2]); }, 200);     // L6
}

const commands = readline.createInterface({ input: process.stdin });
commands.on("line", (line) => {
  const [command, argument] = line.split(" ");
  if (command === "cut") connection.socket.terminate();
  if (command === "ask") {
    const which = correlation++;
    answers.set(String(which), Number(argument));
    const item = Buffer.from(encode([which, ["echo.ping", Number(argument)]]));
    transmit.queue.push({ kind: ASK, item, until: Date.now() + 60_000 });
    connection.pump();
  }
});
commands.on("close", () => {
  ending = true;
  connection.record(T.bye, "the end");
  connection.socket.close(1000);
});
say({ id: me.toString("hex") });
