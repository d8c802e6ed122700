/**
 * An agent's data path in a process of its own, to be killed: it says `ready`
 * when its peers are set. `kernel_path_agent.ts [options of UdpBackend, JSON]`.
 *
 * @module
 */

import { KernelPathHost } from "../../support/kernel_path_host.ts";

const [options = "{}"] = Deno.args;
await new KernelPathHost().start(JSON.parse(options));
console.log("ready");
// Until it is killed.
setInterval(() => {}, 60_000);
