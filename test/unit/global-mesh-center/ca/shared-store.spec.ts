import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { systemClock } from '../../../../contracts/clock.ts'
import { Admission } from '../../../../global-mesh-center/ca/admission.ts'
import { sealedBox } from '../../../../global-mesh-center/ca/key-box.ts'
import { MadeAuthority } from '../../../../global-mesh-center/ca/made-authority.ts'
import { storeDocuments } from '../../../../global-mesh-center/ca/store-documents.ts'
import { FileStore } from '../../../../agent/control/store/file-store.ts'
import type { Store } from '../../../../agent/control/store/store.ts'
import { refusal } from '../../../support/ca/authority-bench.ts'

const day = 86_400_000

describe('an authority of several centers', () => {
  let folder: string
  let stores: Store[]
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-ca-store-'))
    const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
    // two instances on one folder are two processes to each other
    stores = [1, 2].map(() => new FileStore({ folder: join(folder, 'store'), clock: systemClock, log }))
    const told = (store: Store) =>
      new Promise<void>((resolve) => store.watch({ onState: () => resolve(), onChanges: () => undefined }))
    await Promise.all(stores.map(told))
  })
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()))
    rmSync(folder, { recursive: true })
  })

  it('is one: the root, its rotation, tokens and denials are the same at each', async () => {
    const lifetimes = { rootMs: 3650 * day, intermediateMs: 365 * day, spreadMs: 0, overlapMs: 2 * day }
    const box = sealedBox('an operator keeps this in a file.')
    const centers = await Promise.all(
      stores.map(async (store) => {
        const documents = storeDocuments(store)
        const deps = { documents, box, clock: systemClock, trustDomain: 'mesh.test', lifetimes }
        return {
          authority: await MadeAuthority.open(deps),
          admission: await Admission.open(documents, systemClock, deps.trustDomain),
        }
      }),
    )
    const [one, two] = centers as [(typeof centers)[number], (typeof centers)[number]]
    expect(one.authority.trustBundle).to.equal(two.authority.trustBundle)
    await one.authority.rotate()
    await Promise.all([one.authority.advance(), two.authority.advance()])
    await Promise.all([one.authority.advance(), two.authority.advance()])
    expect(two.authority.view()).to.deep.equal(one.authority.view())
    const wishes = { host: 'web-1', identities: [], isReusable: false, lifetimeMs: day }
    const { text } = await one.admission.makeToken(wishes, 'ab'.repeat(32))
    const [, id = '', secret = ''] = text.split('.')
    const uses = centers.map(({ admission }) => refusal(admission.join({ id, secret, pin: '' }, 'web-1')))
    expect((await Promise.all(uses)).filter((words) => words === 'resolved')).to.have.length(1)
    await two.admission.deny('host', 'web-1', 'stolen')
    await one.admission.refresh()
    expect(one.admission.denial('host', 'web-1')).to.have.property('reason', 'stolen')
    for (const store of stores) expect((await store.history('authority', 1))[0]!.value).to.not.include('PRIVATE KEY')
  })
})
