/**
 * The kernel's helper functions, by their names without `bpf_`.
 *
 * The numbers are an interface of the kernel and never change: `linux/bpf.h`,
 * `___BPF_FUNC_MAPPER`. Only helpers that are useful for packet programs
 * (`schedCls`, `xdp`) are listed.
 *
 * @module
 */

const NUMBERS = {
  map_lookup_elem: 1,
  map_update_elem: 2,
  map_delete_elem: 3,
  ktime_get_ns: 5,
  trace_printk: 6,
  get_prandom_u32: 7,
  get_smp_processor_id: 8,
  skb_store_bytes: 9,
  l3_csum_replace: 10,
  l4_csum_replace: 11,
  clone_redirect: 13,
  skb_vlan_push: 18,
  skb_vlan_pop: 19,
  skb_get_tunnel_key: 20,
  skb_set_tunnel_key: 21,
  redirect: 23,
  skb_load_bytes: 26,
  csum_diff: 28,
  skb_change_proto: 31,
  skb_change_type: 32,
  get_hash_recalc: 34,
  skb_change_tail: 38,
  skb_pull_data: 39,
  csum_update: 40,
  set_hash_invalid: 41,
  skb_change_head: 43,
  xdp_adjust_head: 44,
  set_hash: 48,
  skb_adjust_room: 50,
  redirect_map: 51,
  xdp_adjust_meta: 54,
  xdp_adjust_tail: 65,
  skb_load_bytes_relative: 68,
  fib_lookup: 69,
  jiffies64: 118,
  ktime_get_boot_ns: 125,
  csum_level: 135,
  redirect_neigh: 152,
  redirect_peer: 155,
  ktime_get_coarse_ns: 160,
  check_mtu: 163,
  xdp_get_buff_len: 188,
  xdp_load_bytes: 189,
  xdp_store_bytes: 190,
  skb_set_tstamp: 192,
  map_lookup_percpu_elem: 195,
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
