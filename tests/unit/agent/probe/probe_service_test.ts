import { assert, assertEquals } from "@std/assert";
import {
  ProbeService,
  type ProbeTarget,
} from "../../../../agent/probe/probe_service.ts";
import type { AnswerQuestion } from "../../../../agent/probe/responder.ts";
import { BpfError } from "../../../../linux/bpf/errors.ts";
import { ERRNO, SystemCallError } from "../../../../linux/errno.ts";
import { parseCidr } from "../../../../net/cidr.ts";
import { type Ipv4, parseIpv4 } from "../../../../net/ipv4.ts";
import type { Peer, PeerTraffic } from "../../../../net/peer.ts";
import {
  decodeProbe,
  encodeProbe,
  PROBE_HEADER_BYTES,
  type ProbeMessage,
  QUESTION_BYTES,
} from "../../../../net/probe_message.ts";
import { FakeClock } from "../../../fakes/fake_clock.ts";
import { FakeProbeNet, type SentProbe } from "../../../fakes/fake_probe_net.ts";
import { FakeRandom } from "../../../fakes/fake_random.ts";

const PORT = 8_286;
const OWN = parseIpv4("10.1.5.0")!;
const OTHER = parseIpv4("10.1.6.0")!;
const PEER: Peer = {
  subnet: parseCidr("10.1.6.0/24")!,
  publicIp: parseIpv4("192.0.2.12")!,
  backendType: "udp",
  stale: false,
};
const KEY = "10.1.6.0/24";
const NONCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const EMPTY = new Uint8Array();
const TARGET: ProbeTarget = {
  address: OWN,
  backendType: "udp",
  mtuBytes: 1_472,
  devices: ["flannel0"],
  dataPath: "ebpf",
};

/** A host that probes one peer. */
class World {
  readonly clock = new FakeClock();
  readonly net = new FakeProbeNet();
  target: ProbeTarget | undefined = TARGET;
  traffic: PeerTraffic[] = [];
  readonly service: ProbeService;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;

  constructor(answerQuestion?: AnswerQuestion) {
    this.service = new ProbeService(
      {
        clock: this.clock,
        random: new FakeRandom(),
        openSocket: this.net.openSocket,
        openEcho: this.net.openEcho,
        watch: this.net.watch,
        answerQuestion,
      },
      PORT,
      {
        target: () => this.target,
        traffic: () => this.traffic,
        onTick: () => {},
      },
    );
    this.service.apply({ added: [PEER], changed: [], removed: [] });
  }

  get probe() {
    return this.service.peers.get(KEY)!.probe;
  }

  async run(body: () => Promise<void>): Promise<void> {
    this.#running = this.service.run(this.#ending.signal);
    await this.settle();
    try {
      await body();
    } finally {
      this.#ending.abort(new DOMException("end", "AbortError"));
      await this.#running;
    }
    assertEquals(this.net.open, 0);
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 4; turn++) await this.clock.settle();
  }

  async seconds(count: number): Promise<void> {
    for (let second = 0; second < count; second++) {
      await this.clock.advance(1_000);
      await this.settle();
    }
  }

  /** A datagram from the peer's agent, unless it is said otherwise. */
  bring(
    payload: Uint8Array,
    others: {
      address?: typeof OTHER;
      port?: number;
      device?: string;
      ttl?: number;
    } = {},
  ): void {
    this.net.bring({
      address: OTHER,
      port: PORT,
      device: "flannel0",
      ttl: 255,
      payload,
      ...others,
    });
  }

  /** The peer's agent answers. */
  answerAll(): void {
    this.net.onSend = (sent) => this.answer(sent);
  }

  answer(sent: SentProbe): void {
    if (sent.way === "icmp") {
      const { nonce, packetBytes, to } = sent;
      this.net.bringEcho({ address: to, nonce, packetBytes });
      return;
    }
    const request = decodeProbe(sent.payload);
    if (request?.kind !== "echo-request") return;
    this.bring(message("echo-reply", request.nonce));
  }
}

function message(
  kind: ProbeMessage["kind"],
  nonce: Uint8Array = NONCE,
  content: Uint8Array = EMPTY,
  sizeBytes = 0,
): Uint8Array {
  return encodeProbe({ kind, nonce, content }, sizeBytes);
}

/** What was sent by UDP, as messages. */
function messages({ sent }: FakeProbeNet): ProbeMessage[] {
  return sent.flatMap((each) =>
    each.way === "udp" ? [decodeProbe(each.payload)!] : []
  );
}

const replies = (net: FakeProbeNet) =>
  messages(net).filter(({ kind }) =>
    kind === "echo-reply" || kind === "answer"
  );

Deno.test("a peer that answers is reachable, with its round trip by the monotonic clock", async () => {
  const world = new World();
  world.net.onSend = (sent) =>
    void world.clock.sleep(30).then(() => world.answer(sent));
  await world.run(async () => {
    await world.clock.advance(10);
    // An administrator sets the clock while the probe is out.
    world.clock.jumpWallClock(86_400_000);
    await world.seconds(2);
    assertEquals([world.probe.state, world.probe.rttMs], ["reachable", 30]);
  });
});

Deno.test("an echo request of a peer is answered with the same nonce, and with no more bytes", async () => {
  const world = new World();
  await world.run(async () => {
    world.net.sent.length = 0;
    world.bring(message("echo-request", NONCE, EMPTY, 1_444));
    world.bring(message("echo-request"));
    await world.settle();
    assertEquals(replies(world.net).map(({ nonce }) => [...nonce]), [
      [...NONCE],
      [...NONCE],
    ]);
    for (const { packetBytes, to, from } of world.net.sent) {
      assertEquals(packetBytes, PROBE_HEADER_BYTES + 28);
      assertEquals([to, from], [OTHER, OWN]);
    }
    assertEquals(world.service.counters.answered, 2);
  });
});

for (
  const [who, others] of [
    ["an address that is no peer's host", { address: OTHER + 5 }],
    ["the address of this host", { address: OWN }],
    ["another port of the peer's host", { port: 40_000 }],
    ["the bridge of this host's containers", { device: "docker0" }],
    ["the underlay, without encapsulation", { device: "eth0" }],
    ["a device that is gone", { device: undefined }],
    ["a container that is masqueraded as the peer's host", { ttl: 254 }],
  ] as const
) {
  Deno.test(`a request from ${who} gets no answer`, async () => {
    const world = new World(() => Promise.resolve(Uint8Array.of(1)));
    await world.run(async () => {
      world.bring(message("echo-request"), others as never);
      world.bring(message("question", NONCE, EMPTY, 1_200), others as never);
      await world.settle();
      assertEquals(replies(world.net), []);
      assertEquals(world.service.counters.refused, 2);
    });
  });
}

Deno.test("the TTL that a host's own packet may have is what the data paths leave of 255", async () => {
  for (
    const [own, peers, least] of [
      ["ebpf", "ebpf", 255],
      ["tun", "ebpf", 254],
      ["ebpf", "tun", 254],
      ["tun", "tun", 253],
      ["kernel VXLAN", undefined, 255],
      // With alloc, any routers may be on the way.
      [undefined, undefined, 1],
    ] as const
  ) {
    const world = new World();
    world.target = { ...TARGET, dataPath: own };
    const changed = [{ ...PEER, ...peers && { dataPath: peers } }];
    world.service.apply({ added: [], changed, removed: [] });
    await world.run(async () => {
      world.bring(message("echo-request"), { ttl: least });
      world.bring(message("echo-request"), { ttl: least - 1 });
      await world.settle();
      const { answered, refused } = world.service.counters;
      const isAny = own === undefined;
      assertEquals([answered, refused], isAny ? [2, 0] : [1, 1]);
    });
  }
});

Deno.test("the kernel is told what may pass to the socket, and what it drops counts", async () => {
  const world = new World();
  await world.run(async () => {
    const filter = {
      devices: ["flannel0"],
      port: PORT,
      leastTtl: 255,
      clearSourceBits: parseIpv4("0.0.0.255"),
    };
    assertEquals(world.net.filter, filter);
    const changed: Peer[] = [{ ...PEER, dataPath: "tun" }];
    world.service.apply({ added: [], changed, removed: [] });
    world.target = { ...TARGET, devices: ["flannel0", "eth0"] };
    world.net.dropped = 5;
    await world.seconds(1);
    const devices = ["flannel0", "eth0"];
    assertEquals(world.net.filter, { ...filter, devices, leastTtl: 254 });
    assertEquals(world.service.counters.refused, 5);
    // Other sockets count from 0.
    world.target = { ...TARGET, address: OTHER };
    await world.seconds(1);
    world.net.dropped = 0;
    assertEquals(world.service.counters.refused, 5);
  });
});

Deno.test("what the system refuses is a failure for ten seconds, and then tried again", async () => {
  const world = new World();
  await world.run(async () => {
    const { target } = world;
    Object.defineProperty(world, "target", {
      configurable: true,
      get() {
        throw new SystemCallError("list routes", ERRNO.ENOBUFS);
      },
    });
    await world.seconds(1);
    assertEquals(world.service.failure?.code, "linux.ENOBUFS");
    assertEquals([world.net.open, world.service.address], [0, undefined]);
    Object.defineProperty(world, "target", { value: target });
    await world.seconds(9);
    assertEquals(world.net.open, 0);
    await world.seconds(1);
    assertEquals(world.service.failure, undefined);
    assertEquals(world.service.address, OWN);
  });
});

Deno.test("probes go on while the traffic of the peers cannot be read", async () => {
  const world = new World();
  const added = Array.from({ length: 60 }, (_, index): Peer => ({
    ...PEER,
    subnet: parseCidr(`10.2.${index}.0/24`)!,
  }));
  world.service.apply({ added, changed: [], removed: [] });
  Object.defineProperty(world, "traffic", {
    get() {
      throw new BpfError(
        "look up a key in the map loden_traffic",
        ERRNO.ENOMEM,
      );
    },
  });
  await world.run(async () => {
    await world.seconds(40);
    assertEquals(world.service.failure, undefined);
    assert(world.service.counters.sent > 150);
  });
});

Deno.test("garbage, and answers to another host's probes or to an old one, change nothing", async () => {
  const world = new World();
  await world.run(async () => {
    const [probe] = messages(world.net);
    world.bring(EMPTY);
    world.bring(new Uint8Array(1_444).fill(0x5a));
    world.bring(message("echo-reply", NONCE));
    world.bring(message("answer", probe!.nonce));
    const otherHost = { address: parseIpv4("10.1.7.0")! };
    world.bring(message("echo-reply", probe!.nonce), otherHost);
    world.net.bringEcho({ address: OTHER, nonce: NONCE, packetBytes: 68 });
    await world.settle();
    const { refused, responses, unexpected } = world.service.counters;
    assertEquals([refused, responses, unexpected], [1, 0, 5]);
    await world.seconds(4);
    // Its probe was judged lost in the meantime.
    world.bring(message("echo-reply", probe!.nonce));
    await world.settle();
    assertEquals(world.service.counters.unexpected, 6);
    assertEquals([world.probe.state, world.probe.lastAnswerMs], [
      "unreachable",
      undefined,
    ]);
  });
});

Deno.test("a peer that is removed while its probe is out is forgotten, whatever comes", async () => {
  const world = new World();
  await world.run(async () => {
    const [probe] = messages(world.net);
    const { probe: record } = world;
    world.service.apply({ added: [], changed: [], removed: [PEER] });
    world.bring(message("echo-reply", probe!.nonce));
    await world.seconds(3);
    assertEquals([world.service.peers.size, record.state], [0, "unknown"]);
    // The subnet comes back as another host's: the old answer is not its.
    world.service.apply({ added: [PEER], changed: [], removed: [] });
    world.bring(message("echo-reply", probe!.nonce));
    await world.settle();
    assertEquals(world.probe.state, "unknown");
  });
});

Deno.test("a flood of a peer's requests is answered at its limit, and no other peer is kept waiting", async () => {
  const other: Peer = { ...PEER, subnet: parseCidr("10.1.7.0/24")! };
  const world = new World();
  world.service.apply({ added: [other], changed: [], removed: [] });
  await world.run(async () => {
    world.net.sent.length = 0;
    for (let request = 0; request < 200; request++) {
      world.bring(message("echo-request"));
    }
    world.bring(message("echo-request"), { address: other.subnet.address });
    // Read a few at a time, so that the agent has its turns.
    await world.clock.advance(900);
    await world.settle();
    const to = (address: number) =>
      world.net.sent.filter((each) =>
        each.to === address && each.packetBytes === PROBE_HEADER_BYTES + 28
      ).length;
    // Twenty at once, and ten a second.
    assert(to(OTHER) >= 20 && to(OTHER) <= 30, `${to(OTHER)}`);
    assertEquals(to(other.subnet.address), 1);
    assert(world.service.counters.limited >= 170);
  });
});

Deno.test("of a flood of strangers, 400 datagrams a second are read", async () => {
  const world = new World();
  await world.run(async () => {
    await world.seconds(5);
    const before = world.service.counters.refused;
    for (let request = 0; request < 5_000; request++) {
      world.bring(message("echo-request"), { device: "docker0" });
    }
    await world.seconds(5);
    const read = world.service.counters.refused - before;
    assert(read > 1_500 && read <= 400 * 6, `${read}`);
  });
});

Deno.test("datagrams that come one by one, each waking the agent, are read at the same limit", async () => {
  const world = new World();
  await world.run(async () => {
    for (let request = 0; request < 1_000; request++) {
      world.bring(message("echo-request"), { device: "docker0" });
      await world.clock.settle();
    }
    const { refused } = world.service.counters;
    assertEquals(refused, 400);
  });
});

Deno.test("a port that is taken is a failure, until it is free", async () => {
  const world = new World();
  world.net.bindError = ERRNO.EADDRINUSE;
  await world.run(async () => {
    assertEquals(world.service.failure?.code, "probe.port");
    assertEquals(world.service.address, undefined);
    await world.seconds(10);
    // Nothing is concluded about the peer.
    assertEquals([world.probe.state, world.net.sent.length], ["unknown", 0]);
    world.net.bindError = undefined;
    world.answerAll();
    await world.seconds(2);
    assertEquals(world.service.failure, undefined);
    assertEquals([world.service.address, world.probe.state], [
      OWN,
      "reachable",
    ]);
  });
});

Deno.test("an address that goes away says nothing about the peers, and comes back", async () => {
  const world = new World();
  world.answerAll();
  await world.run(async () => {
    await world.seconds(2);
    world.net.sendError = ERRNO.ENETUNREACH;
    world.net.bindError = ERRNO.EADDRNOTAVAIL;
    await world.seconds(60);
    assertEquals([world.probe.state, world.probe.lossRatio], ["reachable", 0]);
    world.net.sendError = undefined;
    world.net.bindError = undefined;
    await world.seconds(12);
    assertEquals(world.probe.lossRatio, 0);
    assertEquals(world.probe.lastAnswerMs! > 60_000, true);
  });
});

Deno.test("a peer to which there is no route is unreachable", async () => {
  const world = new World();
  world.answerAll();
  await world.run(async () => {
    await world.seconds(2);
    world.net.sendError = ERRNO.ENETUNREACH;
    await world.seconds(15);
    assertEquals(world.probe.state, "unreachable");
  });
});

Deno.test("without CAP_NET_RAW a silent peer is unknown, and one that answers is reachable", async () => {
  const world = new World();
  world.net.hasIcmp = false;
  await world.run(async () => {
    await world.seconds(10);
    assertEquals(world.probe.state, "unknown");
    world.answerAll();
    await world.seconds(7);
    assertEquals(world.probe.state, "reachable");
  });
});

Deno.test("the sockets follow the host's address, and are closed while no packets are carried", async () => {
  const world = new World();
  world.answerAll();
  await world.run(async () => {
    await world.seconds(1);
    world.target = { ...TARGET, address: parseIpv4("10.1.9.0")! };
    await world.seconds(1);
    assertEquals([world.service.address, world.net.opened, world.net.open], [
      parseIpv4("10.1.9.0"),
      2,
      2,
    ]);
    world.target = undefined;
    await world.seconds(30);
    assertEquals([world.service.address, world.net.open], [undefined, 0]);
    assertEquals([world.probe.state, world.probe.lossRatio], ["reachable", 0]);
  });
});

Deno.test("a socket that breaks is opened again", async () => {
  const world = new World();
  await world.run(async () => {
    world.net.receiveError = ERRNO.EBADF;
    world.bring(EMPTY);
    await world.settle();
    world.net.receiveError = undefined;
    await world.seconds(1);
    assertEquals([world.net.opened, world.net.open], [2, 2]);
  });
});

Deno.test("a question is padded, and its answer believed by its nonce alone", async () => {
  const world = new World();
  await world.run(async () => {
    world.net.sent.length = 0;
    const asking = world.service.ask(
      KEY,
      Uint8Array.of(5),
      new AbortController().signal,
    );
    const [question] = messages(world.net);
    assertEquals(world.net.sent[0]!.packetBytes, QUESTION_BYTES + 28);
    assertEquals([question!.kind, [...question!.content]], ["question", [5]]);
    await world.clock.advance(20);
    world.bring(message("answer", NONCE, Uint8Array.of(1)));
    world.bring(message("echo-reply", question!.nonce));
    world.bring(message("answer", question!.nonce, Uint8Array.of(9)));
    await world.settle();
    assertEquals(await asking, { rttMs: 20, content: Uint8Array.of(9) });
  });
});

Deno.test("a question without an answer ends after three attempts, the last of them small", async () => {
  const world = new World();
  await world.run(async () => {
    world.net.sent.length = 0;
    const asking = world.service.ask(
      KEY,
      Uint8Array.of(5),
      new AbortController().signal,
    );
    await world.clock.advance(2_100);
    assertEquals(await asking, undefined);
    const sizes = world.net.sent.filter((each) =>
      each.way === "udp" && decodeProbe(each.payload)?.kind === "question"
    ).map(({ packetBytes }) => packetBytes);
    assertEquals(sizes, [1_228, 1_228, 528]);
    assertEquals(
      await world.service.ask("10.9.9.0/24", EMPTY, AbortSignal.abort()),
      undefined,
    );
  });
});

Deno.test("a question of a peer is answered with what fits into it", async () => {
  const asked: [number[], string, number][] = [];
  const world = new World((question, asker, spaceBytes) => {
    asked.push([[...question], asker.backendType, spaceBytes]);
    return Promise.resolve(new Uint8Array(spaceBytes).fill(7));
  });
  await world.run(async () => {
    world.net.sent.length = 0;
    world.bring(message("question", NONCE, Uint8Array.of(4, 2), 500));
    await world.settle();
    assertEquals(asked, [[[4, 2], "udp", 486]]);
    const [answer] = replies(world.net);
    assertEquals([answer!.kind, answer!.content.length], ["answer", 486]);
    assertEquals(world.net.sent.at(-1)!.packetBytes, 528);
  });
});

Deno.test("an answer that is too long, missing or fails is not sent", async () => {
  const answers = [
    () => Promise.resolve(new Uint8Array(487)),
    () => Promise.resolve(undefined),
    () => Promise.reject(new Error("no")),
  ];
  const world = new World(() => answers.shift()!());
  await world.run(async () => {
    for (let question = 0; question < 3; question++) {
      world.bring(message("question", NONCE, EMPTY, 500));
      await world.settle();
    }
    assertEquals([answers.length, replies(world.net)], [0, []]);
  });
});

/** Hosts that ask beside the first one. */
const ASKERS = Array.from({ length: 5 }, (_, index): Peer => ({
  ...PEER,
  subnet: parseCidr(`10.3.${index}.0/24`)!,
}));

Deno.test("answers that are never found keep no later question waiting", async () => {
  let hangs = true;
  const world = new World(() =>
    hangs ? new Promise(() => {}) : Promise.resolve(EMPTY)
  );
  world.service.apply({ added: ASKERS, changed: [], removed: [] });
  await world.run(async () => {
    for (const { subnet: { address } } of ASKERS) {
      world.bring(message("question", NONCE, EMPTY, 500), { address });
    }
    await world.settle();
    // Four at once.
    assertEquals(world.service.counters.limited, 1);
    await world.seconds(3);
    hangs = false;
    world.bring(message("question", NONCE, EMPTY, 500));
    await world.settle();
    assertEquals(replies(world.net).length, 1);
  });
});

Deno.test("a peer has one question at a time", async () => {
  let asked = 0;
  const world = new World(() => {
    asked++;
    return new Promise(() => {});
  });
  await world.run(async () => {
    for (let question = 0; question < 3; question++) {
      world.bring(message("question", NONCE, EMPTY, 500));
    }
    await world.settle();
    assertEquals([asked, world.service.counters.limited], [1, 2]);
  });
});

Deno.test("peers that ask all the time leave questions to another one", async () => {
  const askers: number[] = [];
  const world = new World((_question, { subnet }) => {
    askers.push(subnet.address);
    return Promise.resolve(EMPTY);
  });
  world.service.apply({ added: ASKERS, changed: [], removed: [] });
  const ask = async (address: Ipv4) => {
    world.bring(message("question", NONCE, EMPTY, 500), { address });
    await world.settle();
  };
  const [honest, ...hostile] = ASKERS.map(({ subnet }) => subnet.address);
  await world.run(async () => {
    for (let second = 0; second < 60; second++) {
      for (const address of hostile) await ask(address);
      await world.seconds(1);
    }
    askers.length = 0;
    for (let second = 0; second < 10; second++) {
      for (const address of [...hostile, ...hostile]) await ask(address);
      await ask(honest!);
      await world.seconds(1);
    }
    const own = askers.filter((address) => address === honest);
    assertEquals([own.length, askers.length], [10, 30]);
  });
});

Deno.test("among many peers, one with traffic has its turns every ten seconds", async () => {
  const added = Array.from({ length: 200 }, (_, index): Peer => ({
    ...PEER,
    subnet: parseCidr(`10.2.${index}.0/24`)!,
  }));
  const world = new World();
  world.answerAll();
  // Of each address its own reply.
  const { onSend } = world.net;
  world.net.onSend = (sent) => {
    if (sent.to === OTHER) onSend(sent);
    else if (sent.way === "udp") {
      const { nonce } = decodeProbe(sent.payload)!;
      world.bring(message("echo-reply", nonce), { address: sent.to });
    }
  };
  world.service.apply({ added, changed: [], removed: [] });
  let rxPackets = 0;
  const { subnet } = PEER;
  Object.defineProperty(world, "traffic", {
    get: () => [
      {
        subnet,
        rxPackets: rxPackets += 100,
        txPackets: 0,
        rxBytes: 0,
        txBytes: 0,
      },
    ],
  });
  await world.run(async () => {
    await world.seconds(100);
    const before = world.net.sent.length;
    await world.seconds(60);
    const sent = world.net.sent.slice(before);
    assert(sent.length <= 300);
    assert(sent.filter(({ to }) => to === OTHER).length >= 5);
  });
});

Deno.test("a probe at once says what UDP and what ICMP need", async () => {
  const world = new World();
  await world.run(async () => {
    world.net.onSend = (sent) => {
      if (sent.packetBytes !== 1_000 || sent.way === "udp") return;
      void world.clock.sleep(3).then(() => world.answer(sent));
    };
    const probing = world.service.probeNow(
      KEY,
      1_000,
      new AbortController().signal,
    );
    await world.clock.advance(2_200);
    assertEquals(await probing, { udpMs: null, icmpMs: 3 });
  });
});
