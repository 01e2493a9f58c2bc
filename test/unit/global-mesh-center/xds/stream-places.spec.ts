import { expect } from 'chai'
import { StreamPlaces } from '../../../../global-mesh-center/xds/stream-places.ts'

describe('places for streams of discovery', () => {
  const fill = (places: StreamPlaces, address: string): number => {
    for (let taken = 0; taken < 5000; taken++) if (places.enter(address) !== undefined) return taken
    return 5000
  }

  it('are a thousand for one address, and one is free again when a stream leaves', () => {
    const places = new StreamPlaces()
    expect(fill(places, '10.0.0.7')).to.equal(1000)
    expect(places.enter('10.0.0.7')).to.equal('1000 streams of 10.0.0.7 are open, which is the bound of one address')
    expect(places.enter('10.0.0.8'), 'others are let in').to.equal(undefined)
    places.leave('10.0.0.7')
    expect(fill(places, '10.0.0.7')).to.equal(1)
  })

  it('are shared by the addresses of one network of IPv6', () => {
    const places = new StreamPlaces()
    expect(fill(places, '2001:db8:0:1::1')).to.equal(1000)
    expect(places.enter('2001:db8:0:1::2')).to.include('2001:db8:0:1::/64')
    expect(places.enter('2001:db8:0:2::1')).to.equal(undefined)
  })

  it('are four thousand in all', () => {
    const places = new StreamPlaces()
    for (const last of [1, 2, 3, 4]) expect(fill(places, `10.0.0.${last}`)).to.equal(1000)
    expect(places.enter('10.0.0.5')).to.equal('4000 streams are open, which is the bound')
    places.leave('10.0.0.1')
    expect(fill(places, '10.0.0.5')).to.equal(1)
  })
})
