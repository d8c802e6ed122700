/**
 * The kernel's helper functions, by their names without `bpf_`.
 *
 * The numbers are an interface of the kernel and never change: `linux/bpf.h`,
 * `___BPF_FUNC_MAPPER`. Only helpers that a program calls are listed.
 *
 * @module
 */

const NUMBERS = {
  map_lookup_elem: 1,
  skb_store_bytes: 9,
  l4_csum_replace: 11,
  skb_vlan_push: 18,
  redirect: 23,
  skb_load_bytes: 26,
  csum_diff: 28,
  skb_pull_data: 39,
  set_hash_invalid: 41,
  xdp_adjust_head: 44,
  skb_adjust_room: 50,
  xdp_adjust_meta: 54,
  fib_lookup: 69,
  jiffies64: 118,
  ktime_get_boot_ns: 125,
  ringbuf_reserve: 131,
  ringbuf_submit: 132,
  csum_level: 135,
  redirect_neigh: 152,
} as const;

/** A function of the kernel, without `bpf_` in front. */
export type HelperName = keyof typeof NUMBERS;

/** The helpers' numbers, by name. */
export const HELPERS: Readonly<Record<HelperName, number>> = NUMBERS;

/** The name of a helper, `helper 999` when it is not one of {@linkcode HELPERS}. */
export function helperName(number: number): string {
  for (const [name, value] of Object.entries(HELPERS)) {
    if (value === number) return name;
  }
  return `helper ${number}`;
}
