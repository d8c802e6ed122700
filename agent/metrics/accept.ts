/**
 * Which format a scraper wants.
 *
 * @module
 */

/**
 * Whether `Accept` prefers OpenMetrics 1.0.0 to Prometheus' text (RFC 9110, section
 * 12.5.1). Without the header, and for anything unreadable, it does not.
 */
export function prefersOpenMetrics(accept: string | undefined): boolean {
  let openMetrics = 0;
  let plain = 0;
  for (const entry of (accept ?? "").split(",")) {
    const [type, ...parameters] = entry.split(";")
      .map((part) => part.trim().toLowerCase());
    const parameter = (name: string) =>
      parameters.find((each) => each.startsWith(`${name}=`))
        ?.slice(name.length + 1).replaceAll('"', "");
    const quality = Number(parameter("q") ?? 1);
    if (!(quality >= 0 && quality <= 1)) continue;
    if (type === "application/openmetrics-text") {
      if (["1.0.0", undefined].includes(parameter("version"))) {
        openMetrics = Math.max(openMetrics, quality);
      }
    } else if (type === "text/plain") plain = Math.max(plain, quality);
  }
  return openMetrics > 0 && openMetrics >= plain;
}
