/** Drills in which control plays a fault of what it talks to, for a while that it bounds itself. */
import type { IdentityRow } from '../../contracts/identity-row.ts'
import type { DrillFault, DrillOrder } from '../../contracts/drill-fault.ts'
import { MeshError } from '../../contracts/errors.ts'
import { type AdminClient, adminJson, orderJson } from '../admin-client.ts'
import { type Drill, type DrillContext, killsNothing } from './drill.ts'

const slowRegistryMs = 5000
/** Behind the end that the drill gives it. */
const endsItselfMs = 2000
/** Over the end of every token and every day. */
const stepMs = 26 * 3_600_000
/** Behind the end of the certificates. */
const behindMs = 60_000
const renewalMs = 30_000
const pollMs = 200

type FaultDrill = Pick<Drill, 'name' | 'does' | 'blastRadius' | 'promise' | 'unfit'> & {
  readonly fault: DrillFault
  readonly byMs?: number
}

/** What all of them have alike: nothing that carries traffic is touched. */
function faultDrill({ fault, byMs, ...words }: FaultDrill): Drill {
  return {
    ...words,
    ...killsNothing,
    maxRecoveryMs: 30_000,
    act: async (context) => {
      const { admin, faultMs, pause } = context
      // it ends by itself where the drill cannot end it any more
      await give(admin, { fault, forMs: faultMs + endsItselfMs, ...(byMs !== undefined && { byMs }) })
      await pause(faultMs)
    },
    restore: async ({ admin }) => give(admin, { fault: 'none' }),
  }
}

async function give(admin: AdminClient, order: DrillOrder): Promise<void> {
  await orderJson(admin, '/drill', order)
}

const late = 'this host: changes of instances arrive late; no request is touched'

export const controlDrills: readonly Drill[] = [
  faultDrill({
    name: 'cut-registry',
    does: 'control of this host behaves for a while as if no registry could be reached',
    blastRadius: late,
    promise: 'nothing lost: everything runs on from the last good data',
    fault: 'cut-registry',
  }),
  faultDrill({
    name: 'deny-registry',
    does: 'control of this host behaves for a while as if every registry refused its credentials',
    blastRadius: late,
    promise: 'nothing lost: everything runs on from the last good data, and the refusal is visible',
    fault: 'deny-registry',
  }),
  faultDrill({
    name: 'empty-registry',
    does: 'control of this host hears for a while that no service has an instance',
    blastRadius: 'this host: its endpoints are held as the last choice; no other host hears it',
    promise: 'nothing lost: an answer that takes everything away is not believed at once',
    unfit: async ({ config, faultMs }) =>
      config.endpoints.confirmAfter > 2 * faultMs
        ? undefined
        : `endpoints.confirmAfter is ${config.endpoints.confirmAfter} ms: an empty answer of ${faultMs} ms could come to be believed`,
    fault: 'empty-registry',
  }),
  faultDrill({
    name: 'slow-registry',
    does: `control of this host hears each word of a registry ${slowRegistryMs / 1000} s late, for a while`,
    blastRadius: late,
    promise: 'nothing lost: no request waits for a registry',
    fault: 'slow-registry',
    byMs: slowRegistryMs,
  }),
  faultDrill({
    name: 'full-disk',
    does: 'control of this host behaves for a while as if the disk of its state were full',
    blastRadius: 'this host: what is learnt meanwhile is written afterwards; no request is touched',
    promise: 'nothing lost, the problem is visible, everything is written afterwards',
    fault: 'full-disk',
  }),
  faultDrill({
    name: 'clock-step',
    does: `the wall clock of control of this host is ${stepMs / 3_600_000} h ahead for a while, then right again`,
    blastRadius: 'this host: ages of data on pages and metrics are wrong meanwhile; no request is touched',
    promise: 'nothing lost: what waits and what is bounded goes by another clock',
    fault: 'clock-step',
    byMs: stepMs,
  }),
  {
    name: 'certificate-expiry',
    does: 'control of this host believes that the certificates of its applications have ended',
    blastRadius: 'this host: one round of new certificates is asked of the authority; those in use stay',
    promise: 'nothing lost, and every certificate is a new one',
    ...killsNothing,
    maxRecoveryMs: 30_000,
    unfit: async ({ admin }) =>
      (await certificates(admin)).some(isRenewable)
        ? undefined
        : 'this host has no certificate from a center: there is nothing to renew',
    act: async (context) => {
      const { admin } = context
      const before = await certificates(admin)
      const ends = Math.max(...before.map(({ notAfter }) => notAfter ?? 0))
      await give(admin, { fault: 'clock-step', forMs: renewalMs, byMs: ends - Date.now() + behindMs })
      await renewed(context, before)
    },
    restore: async ({ admin }) => give(admin, { fault: 'none' }),
  },
]

async function certificates(admin: AdminClient): Promise<readonly IdentityRow[]> {
  return ((await adminJson(admin, '/identities?format=json')) as { identities: IdentityRow[] }).identities
}

/** What the authority has never granted has no certificate. */
function isRenewable({ serial, source }: IdentityRow): boolean {
  return source === 'center' && serial !== undefined
}

/** E_CERTIFICATE_INVALID when one is still the old one at the end. */
async function renewed({ admin, isOver, pause, say }: DrillContext, before: readonly IdentityRow[]): Promise<void> {
  const old = new Map(before.filter(isRenewable).map(({ id, serial }) => [id, serial]))
  const renewable = old.size
  for (let waitedMs = 0; waitedMs < renewalMs; waitedMs += pollMs) {
    await pause(pollMs)
    if (isOver()) return
    const now = await certificates(admin)
    for (const { id, serial } of now) if (serial !== undefined && serial !== old.get(id)) old.delete(id)
    if (old.size === 0) return say(`${renewable} certificates are new`)
  }
  throw new MeshError('E_CERTIFICATE_INVALID', `not renewed after ${renewalMs} ms: ${[...old.keys()].join(', ')}`)
}
