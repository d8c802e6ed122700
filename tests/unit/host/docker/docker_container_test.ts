import { assertEquals } from "@std/assert";
import { findDockerContainer } from "../../../../host/docker/docker_container.ts";
import { parseIpv4 } from "../../../../net/ipv4.ts";

const running = () => Promise.resolve(true);

Deno.test("a container has the addresses of its networks", async () => {
  const asked: string[] = [];
  const found = await findDockerContainer("web 1", (path) => {
    asked.push(path);
    return Promise.resolve({
      Name: "/web",
      State: { Running: true, Pid: 812 },
      NetworkSettings: {
        Networks: {
          bridge: { IPAddress: "10.1.5.2" },
          other: { IPAddress: "" },
        },
      },
    });
  }, running);
  assertEquals(asked, ["/containers/web%201/json"]);
  assertEquals(found, {
    name: "web",
    isRunning: true,
    addresses: [parseIpv4("10.1.5.2")!],
  });
});

Deno.test("Docker's refusal means that there is no such container", async () => {
  const ask = () => Promise.resolve({ message: "No such container: web" });
  assertEquals(await findDockerContainer("web", ask, running), undefined);
});

Deno.test("a Docker that does not run is not asked, which would start it", async () => {
  const found = await findDockerContainer(
    "web",
    () => Promise.reject(new Error("asked")),
    () => Promise.resolve(false),
  );
  assertEquals(found, undefined);
});
