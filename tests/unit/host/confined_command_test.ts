import { assertEquals, assertMatch } from "@std/assert";
import { whyConfined } from "../../../host/confined_command.ts";

const hidden = () => {
  throw new Deno.errors.PermissionDenied("os error 13");
};
const absent = () => {
  throw new Deno.errors.NotFound("os error 2");
};

Deno.test("a command that asks systemd or Docker is confined where the unit hides their sockets", () => {
  for (
    const command of [
      "systemctl try-restart docker",
      "sleep 1; /usr/bin/docker ps",
      "true && service docker restart",
    ]
  ) {
    assertMatch(
      whyConfined(command, hidden)!,
      /cannot reach systemd or Docker/,
    );
    assertEquals(whyConfined(command, absent), undefined);
    assertEquals(whyConfined(command, () => []), undefined);
  }
});

Deno.test("a command that asks neither is not confined", () => {
  for (const command of ["touch /run/flannel/moved", "logger systemctlx"]) {
    assertEquals(whyConfined(command, hidden), undefined);
  }
});
