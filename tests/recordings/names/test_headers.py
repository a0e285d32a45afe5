"""Headers as loggers, apps and data sets write them, and what they say: which columns are which sensor."""

from __future__ import annotations

import re

import pytest

from motionsig.recordings.names import Part, Triad, read_names, sensors_in
from motionsig.recordings.names.parts import NO_GRAVITY

# In a header, `{xyz}` stands for one column for each letter. What is expected of a part: ways to its acceleration, then
# to its angular rate, with the numbers of the columns, the unit, the convention, and "?" where the names leave a doubt.
HEADERS = [
    # Chips and single-board computers.
    ("millis,a{xyz},g{xyz}", "", ["acc 1,2,3 ?; gyr 4,5,6 ?"]),
    ("DateTime,Ac{XYZ},Tmp,Gy{XYZ}", "", ["acc 1,2,3; gyr 5,6,7"]),
    ("ac{xyz},gy{xyz}", "", ["acc 0,1,2; gyr 3,4,5"]),
    ("t_ms,a{xyz}_mg,g{xyz}_mdps", "", ["acc 1,2,3 mg; gyr 4,5,6 mdps"]),
    ("us,acc{XYZ}_raw,gyro{XYZ}_raw", "", ["acc 1,2,3; gyr 4,5,6"]),
    ("acc_{xyz}_raw,acc_{xyz},gyro_{xyz}", "", ["acc 3,4,5; acc 0,1,2; gyr 6,7,8"]),
    ("acc_{123},gyro_{123}", "", ["acc 0,1,2; gyr 3,4,5"]),
    ("acc[{012}],gyr[{012}]", "", ["acc 0,1,2; gyr 3,4,5"]),
    ("Index,Time,accl{012},rot{012},x,y,z,w", "", ["acc 2,3,4; gyr 5,6,7 ?"]),
    ("a{xyz},p,q,r", "", ["acc 0,1,2 ?; gyr 3,4,5 ?"]),
    ("t,{xyz}_a,{xyz}_g", "", ["acc 1,2,3 ?; gyr 4,5,6 ?"]),
    ("t,{xyz}_g,gyro_{xyz}", "", ["acc 1,2,3 g ?; gyr 4,5,6"]),
    ("A{xyz} (m/s²),W{xyz} (rad/s)", "", ["acc 0,1,2 m/s^2; gyr 3,4,5 rad/s"]),
    ("rtcDate,rtcTime,a{XYZ},g{XYZ},m{XYZ},imu_degC,output_Hz,", "", ["acc 2,3,4 ?; gyr 5,6,7 ?"]),
    ("time(ms),acc{XYZ}(g),gyro{XYZ}(dps),pitch,roll,yaw,temp", "", ["acc 1,2,3 g; gyr 4,5,6 deg/s"]),
    # Autopilots, robots.
    ("time_boot_ms,{xyz}acc,{xyz}gyro,{xyz}mag", "", ["acc 1,2,3; gyr 4,5,6"]),
    ("TimeUS,I,Gyr{XYZ},Acc{XYZ},EG,EA,T,GH,AH,GHz,AHz", "", ["acc 5,6,7; gyr 2,3,4"]),
    (
        "timestamp,gyro_rad[{012}],gyro_integral_dt,accelerometer_m_s2[{012}],accelerometer_clipping",
        "",
        ["acc 5,6,7 m/s^2; gyr 1,2,3 rad/s"],
    ),
    ("loopIteration,time (us),axisP[{012}],gyroADC[{012}],accSmooth[{012}]", "", ["acc 8,9,10; gyr 5,6,7"]),
    (
        "#timestamp [ns],w_RS_S_{xyz} [rad s^-1],a_RS_S_{xyz} [m s^-2],b_w_RS_S_{xyz} [rad s^-1],v_RS_R_{xyz} [m s^-1]",
        "",
        ["acc 4,5,6 m/s^2; gyr 1,2,3 rad/s"],
    ),
    ("Time,angular_velocity.{xyz},linear_acceleration.{xyz}", "", ["acc 4,5,6 ros ?; gyr 1,2,3"]),
    (
        "%time,field.header.seq,field.header.stamp,field.orientation.{xyzw},field.orientation_covariance0,"
        "field.angular_velocity.{xyz},field.angular_velocity_covariance0,field.linear_acceleration.{xyz}",
        "",
        ["acc 12,13,14 ros ?; gyr 8,9,10"],
    ),
    (
        "rosbagTimestamp,secs,nsecs,orientation,{xyzw},orientation_covariance,angular_velocity,{xyz},"
        "angular_velocity_covariance,linear_acceleration,{xyz},linear_acceleration_covariance",
        "",
        ["acc 15,16,17 ros ?; gyr 10,11,12"],
    ),
    ("id,timestamp,ang_vel_{xyz},lin_acc_{xyz}", "", ["acc 5,6,7 ros ?; gyr 2,3,4"]),
    # Phones and watches.
    (
        "time,seconds_elapsed,rotationRate{XYZ},gravity{XYZ},acceleration{XYZ},quaternion{WXYZ}",
        "WristMotion",
        ["user 8,9,10+5,6,7 ios; gyr 2,3,4"],
    ),
    ("time,seconds_elapsed,{zyx}", "Accelerometer", ["lacks gravity and a gyroscope"]),
    ("time,seconds_elapsed,{zyx}", "TotalAcceleration", ["acc 4,3,2; lacks a gyroscope"]),
    ("time,seconds_elapsed,{zyx}", "Gyroscope", ["gyr 4,3,2; lacks an accelerometer"]),
    (
        ",attitude.roll,attitude.pitch,attitude.yaw,gravity.{xyz},rotationRate.{xyz},userAcceleration.{xyz}",
        "sub_1",
        ["user 10,11,12+4,5,6 ios; gyr 7,8,9"],
    ),
    ("userAcceleration{XYZ},rotationRate{XYZ}", "", ["gyr 3,4,5; lacks gravity"]),
    (
        "loggingTime(txt),accelerometerAcceleration{XYZ}(G),gyroRotation{XYZ}(rad/s),motionYaw(rad),"
        "motionRotationRate{XYZ}(rad/s),motionUserAcceleration{XYZ}(G),motionGravity{XYZ}(G),label(N)",
        "",
        ["acc 1,2,3 g ios; user 11,12,13 g+14,15,16 g ios; gyr 4,5,6 rad/s; gyr 8,9,10 rad/s"],
    ),
    ("Timestamp,TimeIntervalSince1970,Gyro{XYZ},Acc{XYZ}", "", ["acc 5,6,7 ios?; gyr 2,3,4"]),
    (
        "Time (s),Linear Acceleration {xyz} (m/s^2),Gyroscope {xyz} (rad/s)",
        "",
        ["acc 1,2,3 m/s^2 linear ?; gyr 4,5,6 rad/s"],
    ),
    (
        "ACCELEROMETER {XYZ} (m/s²),GRAVITY {XYZ} (m/s²),LINEAR ACCELERATION {XYZ} (m/s²),GYROSCOPE {XYZ} (rad/s)",
        "",
        ["acc 0,1,2 m/s^2; user 6,7,8 m/s^2+3,4,5 m/s^2; gyr 9,10,11 rad/s"],
    ),
    ("acceleration_{xyz},gravity_{xyz},gyro_{xyz}", "", ["acc 0,1,2 ?; user 0,1,2+3,4,5 ?; gyr 6,7,8"]),
    ("time,gF{xyz},a{xyz},w{xyz},Azimuth,Pitch,Roll", "", ["acc 1,2,3 g; gyr 7,8,9 rad/s ?"]),
    ("total_acc_{xyz},body_acc_{xyz},body_gyro_{xyz}", "", ["acc 0,1,2; gyr 6,7,8"]),
    # Sensors that are sold whole.
    (
        "Time,DeviceName,Acc{XYZ}(g),As{XYZ}(°/s),Angle{XYZ}(°),H{XYZ}(uT),Q{0123}(),T(°),V(V)",
        "",
        ["acc 2,3,4 g; gyr 5,6,7 deg/s"],
    ),
    ("时间,设备名称,加速度{XYZ}(g),角速度{XYZ}(°/s),角度{XYZ}(°)", "", ["acc 2,3,4 g; gyr 5,6,7 deg/s"]),
    ("PacketCounter,SampleTimeFine,FreeAcc_{XYZ},Acc_{XYZ},Gyr_{XYZ}", "", ["acc 5,6,7; gyr 8,9,10"]),
    ("epoch (ms),elapsed (s),{xyz}-axis (g),{xyz}-axis (deg/s)", "", ["acc 2,3,4 g; gyr 5,6,7 deg/s"]),
    ("Phone timestamp,sensor timestamp [ns],{XYZ} [mg]", "X_ACC", ["acc 2,3,4 mg; lacks a gyroscope"]),
    ("Phone timestamp,sensor timestamp [ns],{XYZ} [dps]", "X_GYRO", ["gyr 2,3,4 deg/s; lacks an accelerometer"]),
    ("Time,Accel-{XYZ} (g),Gyro-{XYZ} (d/s)", "", ["acc 1,2,3 g; gyr 4,5,6 deg/s"]),
    (
        "Shimmer_A_Timestamp_Unix_CAL,Shimmer_A_Accel_LN_{XYZ}_CAL,Shimmer_A_Gyro_{XYZ}_CAL",
        "",
        ["acc 1,2,3; gyr 4,5,6"],
    ),
    (
        "time,LT-Accel Sensor A{xyz} (mG),LT-Gyroscope-{xyz} (deg/s)",
        "",
        ["acc 1,2,3 mg; gyr 4,5,6 deg/s"],
    ),
    ('cts,date,"Accelerometer (z;x;y) [m/s2]",1,2,temperature [°C]', "", ["acc 3,4,2 m/s^2; lacks a gyroscope"]),
    # Several sensors in a table.
    (
        "time_ms,{lr}_acc_x[g],{lr}_acc_y[g],{lr}_acc_z[g],{lr}_gyr_x[dps],{lr}_gyr_y[dps],{lr}_gyr_z[dps]",
        "",
        ["l: acc 1,3,5 g; gyr 7,9,11 deg/s", "r: acc 2,4,6 g; gyr 8,10,12 deg/s"],
    ),
    ("t,a{xyz}_l,g{xyz}_l,a{xyz}_r,g{xyz}_r", "", ["l: acc 1,2,3 ?; gyr 4,5,6 ?", "r: acc 7,8,9 ?; gyr 10,11,12 ?"]),
    ("t,la{xyz},lg{xyz},ra{xyz},rg{xyz}", "", ["l: acc 1,2,3 ?; gyr 4,5,6 ?", "r: acc 7,8,9 ?; gyr 10,11,12 ?"]),
    ("lacc_{xyz},gyro_{xyz}", "", ["acc 0,1,2 linear ?; gyr 3,4,5"]),
    (
        "imu1_a{xyz},imu1_g{xyz},imu2_a{xyz},imu2_g{xyz}",
        "",
        ["imu1: acc 0,1,2 ?; gyr 3,4,5 ?", "imu2: acc 6,7,8 ?; gyr 9,10,11 ?"],
    ),
    (
        "hand_acc16_{xyz},hand_acc6_{xyz},hand_gyr_{xyz},chest_acc16_{xyz},chest_acc6_{xyz},chest_gyr_{xyz}",
        "",
        ["hand: acc 0,1,2; acc 3,4,5; gyr 6,7,8", "chest: acc 9,10,11; acc 12,13,14; gyr 15,16,17"],
    ),
    ("a{xyz},g{xyz},a{xyz}.1,g{xyz}.1", "", ["acc 0,1,2 ?; gyr 3,4,5 ?", "1: acc 6,7,8 ?; gyr 9,10,11 ?"]),
    ("chest acc {xyz},chest gyro {xyz},ankle acc {xyz}", "", ["acc 0,1,2; gyr 3,4,5"]),
    (
        "Timestamp,Acc{XYZ},Gyro{XYZ},WatchTimestamp,WatchAcc{XYZ},WatchGyro{XYZ}",
        "",
        ["acc 1,2,3; gyr 4,5,6", "watch: acc 8,9,10; gyr 11,12,13"],
    ),
    # What is no angular rate, or may be none.
    ("acc_{xyz},rot_{wxyz}", "", ["acc 0,1,2; lacks a gyroscope"]),
    ("acc_{xyz},q{wxyz}", "", ["acc 0,1,2; lacks a gyroscope"]),
    ("t,q{0123},a{xyz}", "", ["acc 5,6,7 ?; lacks a gyroscope"]),
    ("acc_{xyz},roll,pitch,yaw", "", ["acc 0,1,2; lacks a gyroscope"]),
    ("acc_{xyz},roll (deg/s),pitch (deg/s),yaw (deg/s)", "", ["acc 0,1,2; gyr 3,4,5 deg/s"]),
    ("acc_{xyz},Gyro Yaw (rad/s),Gyro Pitch (rad/s),Gyro Roll (rad/s)", "", ["acc 0,1,2; lacks a gyroscope"]),
    ("acc_{xyz},Gyro Roll (rad/s),Gyro Pitch (rad/s),Gyro Yaw (rad/s)", "", ["acc 0,1,2; gyr 3,4,5 rad/s"]),
    ("acc_{xyz},rollspeed,pitchspeed,yawspeed", "", ["acc 0,1,2; gyr 3,4,5"]),
    ("acc_{xyz},rot_{xyz}", "", ["acc 0,1,2; gyr 3,4,5 ?"]),
    ("a{xyz},g{xyz},r{xyz}", "", ["acc 0,1,2 ?; user 0,1,2+3,4,5 ?; gyr 6,7,8 ?; gyr 3,4,5 ?"]),
    ("acc_{xyz},velocity_{xyz}", "", ["acc 0,1,2; lacks a gyroscope"]),
    ("acc_{xyz}_mean,gyro_{xyz}_mean", "", []),
    ("acc_{xyz} (deg/s),gyro_{xyz} (g)", "", []),
    # Said once, or by the neighbours.
    ("Time,Acc X (g),Y,Z,Gyro X (deg/s),Y,Z", "", ["acc 1,2,3 g; gyr 4,5,6 deg/s"]),
    ("Acc (g) X,Y,Z,Gyro (dps) X,Y,Z", "", ["acc 0,1,2 g; gyr 3,4,5 deg/s"]),
    ("Acc X [g],Acc Y,Acc Z,Gyro X [dps],Gyro Y,Gyro Z", "", ["acc 0,1,2 g; gyr 3,4,5 deg/s"]),
    ("x,y,z,g{xyz}", "", ["acc 0,1,2 ?; gyr 3,4,5 ?"]),
    ("timestamp,x,y,z", "", ["axis 1,2,3 ?; lacks an accelerometer and a gyroscope"]),
    ("t,{xyz}", "accel_g", ["acc 1,2,3 g; lacks a gyroscope"]),
    # Other languages.
    ("Zeit [s],Beschleunigung {XYZ} [m/s²],Drehrate {XYZ} [°/s]", "", ["acc 1,2,3 m/s^2; gyr 4,5,6 deg/s"]),
    ("Tiempo (s),Aceleración {XYZ} (g),Velocidad angular {XYZ} (rad/s)", "", ["acc 1,2,3 g; gyr 4,5,6 rad/s"]),
    ("temps,accélération_{xyz},vitesse_angulaire_{xyz}", "", ["acc 1,2,3; gyr 4,5,6"]),
    ("Tempo,Accelerazione {XYZ},Velocità angolare {XYZ}", "", ["acc 1,2,3; gyr 4,5,6"]),
    ("Время (с),Ускорение {XYZ} (м/с2),Угловая скорость {XYZ} (°/с)", "", ["acc 1,2,3 m/s^2; gyr 4,5,6 deg/s"]),  # noqa: RUF001
]


GRAVITY = NO_GRAVITY.split()[0]


def names_of(header: str) -> list[str]:
    names = []
    for name in re.split(r",(?![^\"]*\"(?:[^\"]*\"[^\"]*\")*[^\"]*$)", header):
        match = re.search(r"\{(\w+)\}", name)
        each = [name.replace(match[0], letter) for letter in match[1]] if match else [name]
        names += [it.strip('"').replace(";", ",") for it in each]
    return names


def shown(part: Part) -> str:
    def triad(it: Triad) -> str:
        words = [it.kind, ",".join(map(str, it.columns)), it.unit]
        words += [f"+{','.join(map(str, it.gravity.columns))}", it.gravity.unit] if it.gravity else []
        text = " ".join(filter(None, [*words, it.convention, "" if it.sure else "?"]))
        return text.replace(" +", "+")

    lacks = f"lacks {part.lacks.replace(NO_GRAVITY, GRAVITY)}" if part.lacks else ""
    texts = [*map(triad, (*part.acc, *part.gyr, *part.bare)), lacks]
    return (f"{part.name}: " if part.name else "") + "; ".join(filter(None, texts))


@pytest.mark.parametrize(("header", "stem", "expected"), HEADERS)
def test_the_sensors_of_a_header(header: str, stem: str, expected: list[str]) -> None:
    assert [shown(part) for part in sensors_in(read_names(names_of(header), stem=stem))] == expected
