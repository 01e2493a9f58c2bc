/** When a certificate is renewed, and when somebody must be told that it was not. */
import { X509Certificate } from 'node:crypto'

/** Epoch ms. */
export interface Lifetime {
  readonly notBefore: number
  readonly notAfter: number
}

const firstRetryMs = 1000
const maxRetryMs = 300_000

export function lifetimeOf(chain: string): Lifetime {
  const leaf = new X509Certificate(chain)
  return { notBefore: leaf.validFromDate.getTime(), notAfter: leaf.validToDate.getTime() }
}

/** Half of its life, a tenth of it earlier or later, so that hosts that began together do not renew together. */
export function renewalTime({ notBefore, notAfter }: Lifetime, random: number): number {
  return notBefore + (notAfter - notBefore) * (0.45 + 0.1 * random)
}

/** Less than a quarter of its life is left: renewals have failed for a quarter of it. */
export function isLate({ notBefore, notAfter }: Lifetime, now: number): boolean {
  return now > notAfter - (notAfter - notBefore) / 4
}

/** ms until the next try after so many failures in a row: 1 s, doubled up to 5 min, half of it by chance. */
export function retryPause(failures: number, random: number): number {
  const most = Math.min(maxRetryMs, firstRetryMs * 2 ** Math.min(failures - 1, 20))
  return most / 2 + (most / 2) * random
}
