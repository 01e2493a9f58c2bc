/** Whether a share of requests (0..1) takes this one; no draw where all are taken. */
export function isDrawn(share: number, random: () => number): boolean {
  return share >= 1 || random() < share
}
