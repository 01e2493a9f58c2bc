import { expect } from 'chai'
import {
  announceProblem,
  listenerOf,
  readProblem,
  touchProblem,
  writeProblem,
  type Announcement,
  type FaceGrant,
  type FacePolicy,
} from '../../../guard/face-policy.ts'

const grant = (more: Partial<FaceGrant>): FaceGrant => ({
  to: { uid: 1001 },
  documents: [],
  writes: false,
  services: [],
  maxWeight: 1,
  ports: [],
  ...more,
})
const policy = (more: Partial<FacePolicy> = {}): FacePolicy => ({
  trusted: new Set([0]),
  reads: 'granted',
  writes: 'off',
  grants: [],
  rulesGroups: ['MESH_RULES'],
  ...more,
})
const uid = (id: number | undefined, login?: string) => ({ uid: id, login })
const document = (group: string, dataId: string) => ({ namespace: 'public', group, dataId })

describe('what local users may do through the face', () => {
  it('is announcing ports at which they listen themselves, unless the operator grants them or they are trusted', () => {
    const one = policy({
      grants: [
        grant({ ports: [{ first: 90, last: 99 }] }),
        grant({ to: { login: 'web' }, ports: [{ first: 80, last: 80 }] }),
      ],
    })
    expect(listenerOf(one, uid(0), 8080)).to.equal(undefined)
    expect(listenerOf(one, uid(1001), 8080)).to.equal(1001)
    expect(listenerOf(one, uid(1001), 95)).to.equal(undefined)
    expect(listenerOf(one, uid(1002), 95)).to.equal(1002)
    expect(listenerOf(one, uid(1002, 'web'), 80)).to.equal(undefined)
  })

  it('never includes rules and documents of the agent itself, whoever asks, in whatever case', () => {
    const open = policy({ reads: 'any', writes: 'granted', grants: [grant({ documents: ['*/*', '*'], writes: true })] })
    for (const key of [
      document('MESH_RULES', 'anything'),
      document('mesh_rules', 'anything'),
      document('DEFAULT_GROUP', 'hostmesh.mesh'),
      document('g', 'HostMesh.service.orders'),
    ])
      for (const caller of [uid(0), uid(1001), uid(undefined, 'root')]) {
        expect(readProblem(open, caller, key, ['hostmesh.mesh']), key.dataId).to.match(/of the agent itself/)
        expect(writeProblem(open, caller, key), key.dataId).to.match(/of the agent itself/)
      }
  })

  it('is reading of documents that are its own or granted, by user or by login', () => {
    const one = policy({
      grants: [
        grant({ documents: ['g/orders*', 'shared/*.yaml', 'g/a*b*c'] }),
        grant({ to: { login: 'billing' }, documents: ['g/billing'] }),
      ],
    })
    const may = (caller: ReturnType<typeof uid>, key: string, owned: string[] = []): boolean =>
      readProblem(one, caller, document(...(key.split('/') as [string, string])), owned) === undefined
    for (const key of ['g/orders', 'g/orders.yaml', 'g/orders-secret', 'shared/x.yaml', 'g/abc', 'g/aXbYc'])
      expect(may(uid(1001), key), key).to.equal(true)
    for (const key of ['g/Xorders', 'h/orders', 'shared/x.yml', 'g/billing', 'g/ab', 'g/acb'])
      expect(may(uid(1001), key), key).to.equal(false)
    for (const key of ['g/orders', 'shared/x.yaml']) {
      expect(may(uid(1002), key), key).to.equal(false)
      expect(may(uid(undefined), key), key).to.equal(false)
      expect(may(uid(0), key), key).to.equal(true)
    }
    expect(may(uid(1002, 'billing'), 'g/billing')).to.equal(true)
    expect(may(uid(1002, 'orders'), 'g/billing')).to.equal(false)
    expect(may(uid(1003), 'g/cart', ['cart'])).to.equal(true)
    expect(may(uid(1003), 'g/cart.yaml', ['cart'])).to.equal(true)
    expect(may(uid(1003), 'g/cart-admin.yaml', ['cart']), 'another application’s').to.equal(false)
    expect(readProblem(policy({ reads: 'any' }), uid(1002), document('g', 'orders'), [])).to.equal(undefined)
  })

  it('is writing only where it is switched on, and then of documents that are granted for it', () => {
    const grants = [grant({ documents: ['g/orders'], writes: true }), grant({ documents: ['g/read'] })]
    expect(writeProblem(policy({ grants }), uid(0), document('g', 'orders'))).to.match(/configWrites allows it/)
    const on = policy({ grants, writes: 'granted' })
    expect(writeProblem(on, uid(1001), document('g', 'orders'))).to.equal(undefined)
    expect(writeProblem(on, uid(1001), document('g', 'read'))).to.match(/may not write/)
    expect(writeProblem(on, uid(1002), document('g', 'orders'))).to.match(/may not write/)
    expect(writeProblem(on, uid(undefined), document('g', 'orders'))).to.match(/may not write/)
    expect(writeProblem(on, uid(0), document('g', 'orders'))).to.equal(undefined)
  })

  const wanted = (more: Partial<Announcement> = {}): Announcement => ({
    service: 'public/g@@orders',
    name: 'orders',
    group: 'g',
    port: 8080,
    weight: 1,
    listener: undefined,
    holders: [],
    ...more,
  })

  it('is announcing what is their own: service, port, an ordinary weight', () => {
    const one = policy()
    expect(announceProblem(one, uid(1001), wanted())).to.equal(undefined)
    expect(announceProblem(one, uid(1001), wanted({ listener: 1001, holders: [1001] }))).to.equal(undefined)
    expect(announceProblem(one, uid(1001), wanted({ port: 0 })), 'a consumer').to.equal(undefined)
    const refused: [Partial<Announcement>, RegExp][] = [
      [{ holders: [1002] }, /belongs to another user/],
      [{ holders: [undefined] }, /belongs to another user/],
      [{ weight: 1.1 }, /weight 1.1/],
      [{ port: 80 }, /below 1024/],
      [{ listener: 0 }, /user 0 listens there/],
      [{ listener: 1002 }, /user 1002 listens there/],
      [{ name: 'hostmesh.relay' }, /name of the agent itself/],
    ]
    for (const [more, reason] of refused) {
      expect(announceProblem(one, uid(1001), wanted(more))).to.match(reason)
      if (more.name === undefined) expect(announceProblem(one, uid(0), wanted(more)), 'root').to.equal(undefined)
    }
    expect(announceProblem(one, uid(undefined), wanted())).to.match(/is not known/)
  })

  it('is more where it is granted, and what is granted to one is reserved', () => {
    const grants = [grant({ services: ['public/g@@orders'], maxWeight: 10, ports: [{ first: 80, last: 90 }] })]
    const one = policy({ grants })
    expect(announceProblem(one, uid(1001), wanted({ holders: [1002], weight: 10, port: 80, listener: 0 }))).to.equal(
      undefined,
    )
    expect(announceProblem(one, uid(1001), wanted({ weight: 11 }))).to.match(/at most 10/)
    expect(announceProblem(one, uid(1001), wanted({ port: 91 }))).to.match(/below 1024/)
    expect(announceProblem(one, uid(1002), wanted())).to.match(/belongs to another user/)
    expect(
      announceProblem(one, uid(1002), wanted({ service: 'public/g@@Orders', name: 'Orders' })),
      'spelled',
    ).to.match(/belongs to another user/)
    expect(announceProblem(one, uid(1002), wanted({ service: 'public/g@@cart', name: 'cart' }))).to.equal(undefined)
  })

  it('is touching their own registrations', () => {
    expect(touchProblem(policy(), uid(1001), 1001)).to.equal(undefined)
    expect(touchProblem(policy(), uid(1001), undefined), 'of an earlier version').to.equal(undefined)
    expect(touchProblem(policy(), uid(0), 1001)).to.equal(undefined)
    expect(touchProblem(policy(), uid(1002), 1001)).to.match(/registered by user 1001, not by user 1002/)
    expect(touchProblem(policy(), uid(undefined), undefined)).to.match(/not by an unknown user/)
  })
})
