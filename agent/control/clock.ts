/** The clock of control; parts get it handed in. */
export { every, systemClock, type Clock } from '../../contracts/clock.ts'
