"""The words of columns' names and what each says of a column: a quantity, an axis, a turn, or nothing.

A line begins with the meaning; the words are as `units.plain` makes them, so that `linear_acceleration` and
`linearAcceleration` are one.
"""

from __future__ import annotations

from collections.abc import Mapping

_MEANINGS = """
acc: acc ac accs acce accel accels accl acclr accelero accelerometer accelerometers accelerometre accelermeter
acc: accelarometer acceleromter acceleration accelerations accelaration aceleracion acelerometro acel aceleracao
acc: acelerometre accelerazione accelerometri versnelling przyspieszenie ivme ivmeolcer beschleunigung
acc: beschleunigungen beschleunigungssensor beschl xl gforce gf specificforce adxl 加速度 加速度计 加速度計 加速 가속도
acc: ускорение акселерометр
whole: totalacc totalaccel totalaccelerometer totalacceleration totallinearacceleration
total: total includinggravity withgravity inclgravity withg gesamt
user: useracc useraccel useraccelerometer useracceleration linacc linaccel linaccelerometer linacceleration
user: linearacc linearaccel linearaccelerometer linearacceleration linearacceler freeacc freeaccel
user: freeacceleration dynamicacc dynamicacceleration netacc aareal areal lineal lineare lineaire
user: aceleracionlineal userdynamic linear lin withoutg withoutgravity withoutgrav nogravity nograv nog
user: exclgravity excludinggravity minusgravity gravityremoved gravityfree ohneg ohnegravitation sanspesanteur
user: singravedad 线性加速度 线加速度
world: aaworld aworld worldacc worldaccel worldacceleration earthacc earthacceleration globalacc
body: bodyacc bodyaccel bodyacceleration
gyr: gyr gy gyrs gyro gyros gyroscope gyroscopes gyrometer gyroscop gyroskop gyroskope rategyro rotationrate
gyr: rotrate rotationalrate rotationvelocity rotationalvelocity rotationspeed rotvel angularvelocity angularvel
gyr: angularrate angularspeed angvel angrate angv angularv rotspeed velocityangular velang
gyr: velangular velocidadangular velocidadeangular
gyr: vitesseangulaire velocitaangolare hoeksnelheid predkosckatowa jiroskop acisalhiz giroscopio giro gyroscopie
gyr: drehrate drehraten drehratensensor winkelgeschwindigkeit winkelgeschw drehgeschwindigkeit omega turnrate
gyr: bodyrate bodyrates angleratevector anglespeed anglevelocity anglerate angulargyro ars itg itg3200 l3g l3gd
gyr: 角速度 陀螺仪 陀螺儀 자이로 각속도 угловаяскорость гироскоп
rot: rot rotation rotations rota
rollrate: rollrate rollspeed rollvel rollvelocity
pitchrate: pitchrate pitchspeed pitchvel pitchvelocity
yawrate: yawrate yawspeed yawvel yawvelocity headingrate
mag: mag magn magnet magneto magnetic magnetometer magnetometers magnetometre magnetometro magneticfield
mag: magneticflux magfield compass kompass magnetfeld campomagnetico champmagnetique bfield mfield 磁场 磁場 磁力
gravity: gravity grav gravitation gravityvector gravityvec gravvector gravedad gravite gravitational grv
gravity: schwerkraft erdbeschleunigung pesanteur 重力 重力加速度
orientation: quat quats quaternion quaternions quaternio attitude att euler eul orientation ori orient
orientation: rotationvector rotvec rotvector rotationvec rv gamerotationvector grotvec gamerv rotationmatrix
orientation: rotmat mat angle angles angulo angulos winkel inclination incl tilt azimuth azimut heading lage
orientation: pose ahrs orientierung axisangle 角度 四元数 姿态 姿態
roll: roll rol
pitch: pitch nick pit
yaw: yaw gier
other: temp temperature temperatura temperatur pressure pres baro barometer altitude alt latitude longitude lat
other: lon lng position pos displacement battery batt voltage volt current humidity light lux
other: heart heartrate hr bpm ppg ecg ekg emg eda gsr spo2 force torque jerk bias biases offset offsets std
other: stdev mean var variance min max median covariance cov rms norm magnitude energy entropy fft psd error err
other: residual noise status accuracy valid flag flags quality confidence setpoint target estimate prediction
other: pred predicted delta deltas steps stepcount pedometer rssi gps proximity sound microphone mic decibel
other: weight height age checksum crc clipping gain scale samplerate fs 温度 气压 电量 高度 経度
speed: speed velocity vel rate rates turn
x: xaxis axisx ejex xachse axex
y: yaxis axisy ejey yachse axey
z: zaxis axisz ejez zachse axez
noise: imu imus sensor sensors sensordata data value values val axis achse eje axe axes component direction
noise: reading readings output measurement measured field msg message payload state vector device mpu icm lsm
noise: body bmi bno inertial inertialmeasurementunit channel ch of the in on and 3d triaxial tri calibration gx3
noise: smoothed smooth filtered filt filter lpf lp lowpass lowpassed kalman
noise: adc raw rawdata cal calib calibrated uncal uncalibrated
noise: corrected corr compensated comp scaled unscaled fused est si phys physical unit units sample samples
"""

WORDS: Mapping[str, str] = {
    word: meaning
    for meaning, _, words in (line.partition(":") for line in _MEANINGS.strip().splitlines())
    for word in words.split()
}
"""Words and their meanings.

* "acc": acceleration; "whole", "total": with gravity; "user": without; "world": not in the sensor's frame; "body": on a
  body, or of UCI HAR without gravity. "gyr", "mag", "gravity", "orientation". "rot": a rate or an angle.
* "roll", "pitch", "yaw" and "rollrate", "pitchrate", "yawrate". "x", "y", "z": axes.
* "other": a derived quantity, or one of another sensor: whatever else the name says, it is none of ours.
* "speed": of another kind too, unless a gyroscope's word is beside it.
* "noise": says nothing of which sensor it is, unless nothing else tells two columns apart.
"""
