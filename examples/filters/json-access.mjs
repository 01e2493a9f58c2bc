/**
 * Decides by what is in the JSON of a request: a large order takes an approver.
 *
 * @type {import('@hostmesh/sdk').MakeFilter}
 */
export default function make({ most = 1000 }) {
  return {
    onRequestBody(body, request) {
      let amount
      try {
        amount = JSON.parse(Buffer.from(body).toString()).amount
      } catch {
        return { status: 400, body: 'no JSON\n' }
      }
      if (typeof amount !== 'number') return { status: 400, body: 'no amount\n' }
      if (amount > most && request.header('x-role') !== 'approver') return { status: 403, body: `more than ${most}\n` }
    },
  }
}
